// The client that openapi-generator makes: register, read back, be refused, answer a buyer.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.MerchantsApi;
import org.openapitools.client.api.MessagesApi;
import org.openapitools.client.model.Message;
import org.openapitools.client.model.MerchantResponse;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.RegisterMerchantRequest;
import org.openapitools.client.model.SendMessageRequest;
import org.openapitools.client.model.TextContent;

public class Walk {
    interface Call {
        Object make() throws ApiException;
    }

    public static void main(String[] none) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("WECHAT_KF_API_URL"));
        MerchantsApi merchants = new MerchantsApi(client);
        MessagesApi messages = new MessagesApi(client);

        String externalId = System.getenv("EXTERNAL_ID");

        var registered = merchants.registerMerchantWithHttpInfo(new RegisterMerchantRequest()
                .externalId(externalId).nickname("类型旗舰店").icon(System.getenv("ICON")));
        String id = registered.getData().getBusinessId();
        List<String> names = merchants.listMerchants(null, null, null, externalId).getItems().stream()
                .map(MerchantResponse::getNickname).toList();
        String missing = "1795712430874s368467044ce5b0x";

        System.out.println(new ObjectMapper().writeValueAsString(Map.of(
                "status", registered.getStatusCode(),
                "names", names,
                "field", problem(() -> messages.sendMessage(id, text("o", ""), null)).getField(),
                "stranger", problem(() -> messages.sendMessage(
                        id, text("oNobodyWroteYet00000000000000", "您好"), "1")).getCode(),
                "missing", problem(() -> messages.readMessage(id, missing)).getStatus())));
    }

    static SendMessageRequest text(String openid, String text) {
        TextContent content = new TextContent().type(TextContent.TypeEnum.TEXT).text(text);
        return new SendMessageRequest().openid(openid).message(new Message(content));
    }

    static Problem problem(Call call) throws Exception {
        try {
            throw new AssertionError("not refused: " + call.make());
        } catch (ApiException refused) {
            return ApiClient.createDefaultObjectMapper()
                    .readValue(refused.getResponseBody(), Problem.class);
        }
    }
}
