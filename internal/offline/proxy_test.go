package offline

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProxy(t *testing.T) {
	t.Parallel()
	proxy, err := startProxy()
	require.NoError(t, err)
	defer proxy.close()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.address()}),
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as pulumi-eks does
		DisableKeepAlives: true,
	}}
	get := func(address string) (int, string, error) {
		request, asked := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		require.NoError(t, asked)
		response, asked := client.Do(request)
		if asked != nil {
			return 0, "", asked
		}
		defer func() { _ = response.Body.Close() }()
		body, asked := io.ReadAll(response.Body)
		return response.StatusCode, string(body), asked
	}

	const endpoint = "https://0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com"
	status, body, err := get(endpoint + "/healthz")
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	assert.Equal(t, "ok", body)
	status, _, err = get("https://0123456789ABCDEF.yl4.cn-north-1.eks.amazonaws.com.cn/healthz")
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	answered, refused := proxy.seen()
	assert.Equal(t, []string{
		"GET 0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com:443/healthz",
		"GET 0123456789ABCDEF.yl4.cn-north-1.eks.amazonaws.com.cn:443/healthz",
	}, answered)
	assert.Empty(t, refused)

	status, _, err = get(endpoint + "/api/v1/secrets")
	require.NoError(t, err)
	assert.Equal(t, 403, status)
	for _, address := range []string{
		"https://sts.ap-northeast-1.amazonaws.com/healthz", "https://evil.gr7.ap-northeast-1.eks.amazonaws.com.example.org/healthz",
		"https://0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com:6443/healthz", "https://169.254.169.254/healthz",
	} {
		_, _, err = get(address)
		require.ErrorContains(t, err, "Forbidden", address)
	}
	status, _, err = get("http://example.org/")
	require.NoError(t, err)
	assert.Equal(t, 403, status)
	answered, refused = proxy.seen()
	assert.Len(t, answered, 2)
	assert.Equal(t, []string{
		"GET 0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com:443/api/v1/secrets",
		"CONNECT sts.ap-northeast-1.amazonaws.com:443", "CONNECT evil.gr7.ap-northeast-1.eks.amazonaws.com.example.org:443",
		"CONNECT 0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com:6443", "CONNECT 169.254.169.254:443", "GET example.org",
	}, refused)
}
