package compat;

import java.util.List;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.server.servlet.context.ServletWebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.event.EventListener;
import org.springframework.security.authorization.AuthorizationDecision;
import org.springframework.security.authorization.AuthorizationManagers;
import org.springframework.security.authorization.AuthorityAuthorizationManager;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationToken;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.access.intercept.RequestAuthorizationContext;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An API that checks tokens with Spring Security. */
@SpringBootApplication
@RestController
public class Api {
    public static void main(String[] args) {
        SpringApplication.run(Api.class, args);
    }

    @Bean
    SecurityFilterChain readers(HttpSecurity http) throws Exception {
        return http
            .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
            .authorizeHttpRequests(requests -> requests.anyRequest().access(AuthorizationManagers.<RequestAuthorizationContext>allOf(
                AuthorityAuthorizationManager.hasAuthority("Orders.Read"),
                (caller, request) -> new AuthorizationDecision(
                    caller.get() instanceof JwtAuthenticationToken jwt && !jwt.getToken().hasClaim("scp")))))
            .build();
    }

    @GetMapping("/")
    List<String> orders() {
        return List.of();
    }

    @EventListener
    void listening(ServletWebServerInitializedEvent event) {
        System.out.println("listening http://127.0.0.1:" + event.getWebServer().getPort());
    }
}
