import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * A bank's program in Java: pushes over mutual TLS with a PKCS #12 file and nothing but the JDK.
 *
 * java PushMtls.java URL AUTHORITY.pem CLIENT.p12 PASSPHRASE REF...: prints status, protocol and body of each answer.
 */
public final class PushMtls {
    public static void main(String[] given) throws Exception {
        KeyStore own = KeyStore.getInstance("PKCS12");
        try (InputStream file = new FileInputStream(given[2])) {
            own.load(file, given[3].toCharArray());
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, given[3].toCharArray());
        KeyStore authorities = KeyStore.getInstance("PKCS12");
        authorities.load(null, null);
        try (InputStream file = new FileInputStream(given[1])) {
            authorities.setCertificateEntry("bank", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(authorities);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(keys.getKeyManagers(), trust.getTrustManagers(), null);

        HttpClient client = HttpClient.newBuilder().sslContext(tls).build();
        for (int next = 4; next < given.length; next++) {
            String message = "{\"ref\": \"" + given[next] + "\", \"to\": \"+375291110001\", \"class\": \"service\","
                + " \"text\": \"Your card is ready\", \"sender\": \"EXBANK\"}";
            HttpRequest request = HttpRequest.newBuilder(URI.create(given[0] + "/v1/messages"))
                .header("Content-Type", "application/json").POST(BodyPublishers.ofString(message)).build();
            HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
