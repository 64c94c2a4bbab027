package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// unit is what a DynamoDB write unit pays for; a smaller item, or the rest of a larger one, costs a whole one.
const unit = 1024

// counts is what one configuration asked S3 and DynamoDB for.
type counts struct {
	mu      sync.Mutex
	puts    int
	objects map[string]int64 // sizes by key: what is written again takes its own place
	items   int
	units   int
	calls   map[string]int // what is neither PutObject nor BatchWriteItem
	refused []string       // what the stores did not take
}

// stored is the size of all objects.
func (c *counts) stored() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum int64
	for _, size := range c.objects {
		sum += size
	}
	return sum
}

// forward listens on loopback and passes everything on to a store, whose host it gives back as the store's clients are to name it. The
// host in requests stays what the client wrote, because the client has signed it.
func forward(ctx context.Context, store string, count func(r *http.Request, body []byte, answer *http.Response) error) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening: %w", err)
	}
	type bodyKey struct{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: store})
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(answer *http.Response) error {
			body, _ := answer.Request.Context().Value(bodyKey{}).([]byte)
			return count(answer.Request, body, answer)
		},
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // on loopback, for minutes
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body)))
	})}
	// As long as this program runs: without its stores Loki would not end.
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), nil
}

// s3 counts a request to S3.
func (c *counts) s3(r *http.Request, body []byte, answer *http.Response) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	put := r.Method == http.MethodPut && key != "" && r.URL.RawQuery == ""
	switch {
	case answer.StatusCode/100 != 2:
		c.refused = append(c.refused, fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, answer.Status))
	case put:
		size := int64(len(body))
		// A body in signed pieces is longer than the object.
		if decoded := r.Header.Get("X-Amz-Decoded-Content-Length"); decoded != "" {
			var err error
			if size, err = strconv.ParseInt(decoded, 10, 64); err != nil {
				return fmt.Errorf("reading the length of %s: %w", key, err)
			}
		}
		c.puts++
		c.objects[key] = size
	default:
		c.calls["S3 "+r.Method]++
	}
	return nil
}

// attribute is a value of an item: a string, or bytes. The index has no others.
type attribute struct {
	S *string
	B []byte
}

// dynamodb counts a request to DynamoDB.
func (c *counts) dynamodb(r *http.Request, body []byte, answer *http.Response) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case answer.StatusCode/100 != 2:
		c.refused = append(c.refused, fmt.Sprintf("%s: %s", operation, answer.Status))
	case operation == "BatchWriteItem":
		items, units, err := written(body)
		if err != nil {
			return err
		}
		c.items += items
		c.units += units
	default:
		c.calls["DynamoDB "+operation]++
	}
	return nil
}

// written counts the items of a BatchWriteItem, and the write units that they cost: an item is as large as its attributes' names and
// values together.
func written(body []byte) (items, units int, err error) {
	var request struct {
		RequestItems map[string][]struct {
			PutRequest *struct{ Item map[string]attribute }
		}
	}
	if err = json.Unmarshal(body, &request); err != nil {
		return 0, 0, fmt.Errorf("reading BatchWriteItem: %w", err)
	}
	for _, table := range request.RequestItems {
		for _, one := range table {
			if one.PutRequest == nil {
				return 0, 0, fmt.Errorf("reading BatchWriteItem: something else than a put in it: %s", body)
			}
			size := 0
			for name, value := range one.PutRequest.Item {
				size += len(name) + len(value.B)
				if value.S != nil {
					size += len(*value.S)
				}
			}
			items++
			units += (size + unit - 1) / unit
		}
	}
	return items, units, nil
}
