import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Verifies a webhook with the JDK alone. */
public final class Verify {
    /** `secret` is whsec_…; the others are the request's headers and its body as received. */
    public static boolean verify(String secret, String id, String timestamp, String signatures, byte[] body)
            throws Exception {
        if (id == null || timestamp == null || signatures == null || !timestamp.matches("\\d{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 300) {
            return false;
        }
        // The key is what follows whsec_, base64-decoded: not the text itself.
        byte[] key = Base64.getDecoder().decode(secret.substring("whsec_".length()));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body)))
                .getBytes(StandardCharsets.UTF_8);
        for (String one : signatures.split(" ")) { // two during a rotation
            if (MessageDigest.isEqual(expected, one.getBytes(StandardCharsets.UTF_8))) {
                return true;
            }
        }
        return false;
    }
}
