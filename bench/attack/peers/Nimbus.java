import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** nimbus-jose-jwt as a validator: see run. */
public final class Nimbus {
  public static void main(String[] args) throws Exception {
    Map<String, Object> settings = JSONObjectUtils.parse(Files.readString(Path.of(args[0])));
    JWKSet keys = JWKSet.parse(JSONObjectUtils.toJSONString(JSONObjectUtils.getJSONObject(settings, "keys")));
    DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();
    processor.setJWSTypeVerifier(
        new DefaultJOSEObjectTypeVerifier<>(
            JOSEObjectType.JWT, new JOSEObjectType("at+jwt"), new JOSEObjectType("application/at+jwt"), null));
    processor.setJWSKeySelector(
        new JWSVerificationKeySelector<>(Set.of(JWSAlgorithm.RS256, JWSAlgorithm.ES256), new ImmutableJWKSet<>(keys)));
    DefaultJWTClaimsVerifier<SecurityContext> claims =
        new DefaultJWTClaimsVerifier<>(
            new HashSet<>(JSONObjectUtils.getStringList(settings, "audiences")),
            new JWTClaimsSet.Builder().issuer(JSONObjectUtils.getString(settings, "issuer")).build(),
            Set.of("exp"),
            null);
    claims.setMaxClockSkew(JSONObjectUtils.getInt(settings, "skew"));
    processor.setJWTClaimsSetVerifier(claims);
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        String token = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
        String answer = "1";
        try {
          processor.process(token, null);
        } catch (Exception | StackOverflowError e) {
          answer = "0";
        }
        out.println(answer);
      }
    }
    out.flush();
  }
}
