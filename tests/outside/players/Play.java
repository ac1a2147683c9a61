// A whole call by the client that openapi-generator makes of the description.
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.CallsApi;
import org.openapitools.client.model.*;

public final class Play {
    public static void main(String[] said) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(said[0]);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + said[1]));
        String caller = said[2], callee = said[3];
        CallsApi calls = new CallsApi(client);

        CreateCall wanted = new CreateCall().initiator(caller).callType(CallType.AUDIO_ONLY)
            .addParticipantsItem(new ParticipantsInner(callee));
        UUID id = calls.createCall(wanted, "once").getCall().getId();
        calls.ackCall(id, new AckCall().userId(callee).deviceId("phone"));
        JoinedAnswer answered = calls.answerCall(id, new AnswerCall().userId(callee).deviceId("phone"));
        calls.hangUpCall(id, new Act().userId(caller));
        CallView call = calls.getCall(id);
        Map<String, Object> told = new TreeMap<>();
        told.put("call_id", call.getId());
        told.put("answered", answered.getCall().getState());
        told.put("state", call.getState());
        told.put("end_reason", call.getEndReason());
        told.put("legs", call.getLegs().stream().map(LegView::getUserId).toList());
        told.put("events", calls.listCallEvents(id, 200, null).getItems().stream().map(CallEvent::getType).toList());
        try {
            calls.getCall(UUID.fromString("00000000-0000-7000-8000-000000000000"));
        } catch (ApiException refused) {
            told.put("refused", client.getObjectMapper().readTree(refused.getResponseBody()).get("code").asText());
        }
        System.out.print(client.getObjectMapper().writeValueAsString(told));
    }
}
