package compat;

import java.util.List;

import com.azure.spring.cloud.autoconfigure.implementation.aad.security.AadResourceServerHttpSecurityConfigurer;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.server.servlet.context.ServletWebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.event.EventListener;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An API that checks tokens with the Azure starter for Spring. */
@SpringBootApplication
@RestController
public class Api {
    public static void main(String[] args) {
        SpringApplication.run(Api.class, args);
    }

    @Bean
    SecurityFilterChain readers(HttpSecurity http) throws Exception {
        return http
            .with(AadResourceServerHttpSecurityConfigurer.aadResourceServer(), Customizer.withDefaults())
            .authorizeHttpRequests(requests -> requests.anyRequest().hasAuthority("APPROLE_Orders.Read"))
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
