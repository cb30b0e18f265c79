// The client that openapi-generator makes: register, read back, be refused, answer a buyer.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	kf "kf"
)

func main() {
	configuration := kf.NewConfiguration()
	configuration.Servers = kf.ServerConfigurations{{URL: os.Getenv("WECHAT_KF_API_URL")}}
	client, ctx := kf.NewAPIClient(configuration), context.Background()

	wanted := kf.NewRegisterMerchantRequest("类型旗舰店")
	wanted.SetExternalId(os.Getenv("EXTERNAL_ID"))
	wanted.SetIcon(os.Getenv("ICON"))
	registered, answer, err := client.MerchantsAPI.RegisterMerchant(ctx).RegisterMerchantRequest(*wanted).Execute()
	check(err)
	id := registered.GetBusinessId()
	page, _, err := client.MerchantsAPI.ListMerchants(ctx).ExternalId(os.Getenv("EXTERNAL_ID")).Execute()
	check(err)
	names := []string{}
	for _, item := range page.GetItems() {
		names = append(names, item.GetNickname())
	}

	_, _, wordless := client.MessagesAPI.SendMessage(ctx, id).SendMessageRequest(text("o", "")).Execute()
	_, _, stranger := client.MessagesAPI.SendMessage(ctx, id).IdempotencyKey("1").
		SendMessageRequest(text("oNobodyWroteYet00000000000000", "您好")).Execute()
	_, _, missing := client.MessagesAPI.ReadMessage(ctx, id, "1795712430874s368467044ce5b0x").Execute()
	shown, err := json.Marshal(map[string]any{
		"status":   answer.StatusCode,
		"names":    names,
		"field":    problem(wordless).GetField(),
		"stranger": problem(stranger).GetCode(),
		"missing":  problem(missing).GetStatus(),
	})
	check(err)
	fmt.Println(string(shown))
}

func text(openid string, text string) kf.SendMessageRequest {
	content := kf.NewTextContent("text", text)
	return *kf.NewSendMessageRequest(openid, kf.TextContentAsMessage(content))
}

func problem(err error) *kf.Problem {
	refused, found := err.(*kf.GenericOpenAPIError).Model().(kf.Problem)
	if !found {
		panic(err)
	}
	return &refused
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
