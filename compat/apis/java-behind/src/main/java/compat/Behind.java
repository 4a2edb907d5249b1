package compat;

import java.util.Base64;
import java.util.List;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A program that knows nothing of tokens, behind `rolecall guard`. */
@SpringBootApplication
@RestController
public class Behind {
    private final JsonMapper json;

    Behind(JsonMapper json) {
        this.json = json;
    }

    public static void main(String[] args) {
        SpringApplication.run(Behind.class, args);
    }

    /** The roles of the caller, as the guard says: the headers of App Service Authentication. */
    List<String> roles(String principal) {
        return json.readTree(Base64.getDecoder().decode(principal)).get("claims").valueStream()
            .filter(claim -> claim.get("typ").asString().equals("roles"))
            .map((JsonNode claim) -> claim.get("val").asString())
            .toList();
    }

    @GetMapping("/api/GetOrders")
    List<String> orders(
            @RequestHeader("X-MS-CLIENT-PRINCIPAL-ID") String caller,
            @RequestHeader("X-MS-CLIENT-PRINCIPAL") String principal) {
        System.out.println("orders for " + caller + " with " + roles(principal));
        return List.of();
    }
}
