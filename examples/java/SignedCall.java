import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A call of the API, signed with SigV4 by the JDK alone. With the AWS SDK for Java, use its
 * AwsV4HttpSigner instead.
 */
public final class SignedCall {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

    /** Returns the response; `body` is JSON or empty, `more` are further headers. */
    public static HttpResponse<String> send(String method, String url, String body, Map<String, String> more)
            throws Exception {
        URI uri = URI.create(url);
        String time = TIME.format(Instant.now());
        var headers = new TreeMap<String, String>();
        more.forEach((name, value) -> headers.put(name.toLowerCase(), value));
        headers.put("x-amz-date", time);
        if (System.getenv("AWS_SESSION_TOKEN") != null) {
            headers.put("x-amz-security-token", System.getenv("AWS_SESSION_TOKEN"));
        }
        headers.put("authorization", authorization(method, uri, body, time, new TreeMap<>(headers)));

        var request = HttpRequest.newBuilder(uri)
                .method(method, HttpRequest.BodyPublishers.ofString(body));
        headers.forEach(request::header);
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static String authorization(
            String method, URI uri, String body, String time, TreeMap<String, String> headers) throws Exception {
        headers.put("host", uri.getAuthority());
        String names = String.join(";", headers.keySet());
        String lines = headers.entrySet().stream()
                .map(one -> one.getKey() + ":" + one.getValue().strip() + "\n")
                .collect(Collectors.joining());
        // Keys and values of the query are sorted and stay escaped; the path of our API needs no escaping.
        String query = uri.getRawQuery() == null ? "" : Arrays.stream(uri.getRawQuery().split("&"))
                .map(pair -> pair.contains("=") ? pair : pair + "=").sorted().collect(Collectors.joining("&"));
        String canonical = String.join("\n", method, uri.getRawPath(), query, lines, names, sha256(body));

        String day = time.substring(0, 8);
        String scope = String.join("/", day, System.getenv("AWS_REGION"), "execute-api", "aws4_request");
        String toSign = String.join("\n", "AWS4-HMAC-SHA256", time, scope, sha256(canonical));
        byte[] key = ("AWS4" + System.getenv("AWS_SECRET_ACCESS_KEY")).getBytes(StandardCharsets.UTF_8);
        for (String part : scope.split("/")) {
            key = hmac(key, part);
        }
        return "AWS4-HMAC-SHA256 Credential=" + System.getenv("AWS_ACCESS_KEY_ID") + "/" + scope
                + ", SignedHeaders=" + names + ", Signature=" + HexFormat.of().formatHex(hmac(key, toSign));
    }

    private static byte[] hmac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String sha256(String text) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** Lists merchants: java SignedCall.java */
    public static void main(String[] arguments) throws Exception {
        var url = System.getenv("WECHAT_KF_API_URL") + "/merchants?limit=5";
        System.out.println(send("GET", url, "", Map.of()).body());
    }
}
