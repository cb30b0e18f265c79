package main

// go get github.com/aws/aws-sdk-go-v2/aws github.com/aws/aws-sdk-go-v2/config
import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	credentials, err := settings.Credentials.Retrieve(ctx)
	if err != nil {
		panic(err)
	}
	request, err := http.NewRequest("GET", os.Getenv("WECHAT_KF_API_URL")+"/merchants?limit=5", nil)
	if err != nil {
		panic(err)
	}
	empty := sha256.Sum256(nil)
	err = v4.NewSigner().SignHTTP(
		ctx, credentials, request, hex.EncodeToString(empty[:]), "execute-api", settings.Region, time.Now())
	if err != nil {
		panic(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	io.Copy(os.Stdout, response.Body)
}
