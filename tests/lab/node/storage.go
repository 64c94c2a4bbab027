package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	rootUser, rootSecret = "lab", "lab-secret"
	storeAddress         = IP + ":9000"
	tableAddress         = IP + ":8000"
	indexTable           = "kansoku-index"
)

func buckets() []string { return []string{"kansoku-blocks", "kansoku-chunks"} }

// User of the object store, who may do what the policy allows and nothing else.
type User struct {
	Name   string          `json:"name"`
	Secret string          `json:"secret"`
	Policy json.RawMessage `json:"policy"`
}

// storeSetup is what minio-setup reads.
type storeSetup struct {
	Endpoint  string   `json:"endpoint"`
	AccessKey string   `json:"accessKey"`
	SecretKey string   `json:"secretKey"`
	Buckets   []string `json:"buckets"`
	Users     []User   `json:"users"`
}

// setupCommand makes MinIO have the buckets, and users with their policies. Its input is a file that has no name any more.
func setupCommand(ctx context.Context, o Options, users []User) (*exec.Cmd, error) {
	content, err := json.Marshal(storeSetup{storeAddress, rootUser, rootSecret, buckets(), users}) //nolint:gosec // they open nothing else
	if err != nil {
		return nil, fmt.Errorf("encoding the users: %w", err)
	}
	input, err := os.CreateTemp(o.path("home"), "setup")
	if err != nil {
		return nil, fmt.Errorf("writing the users: %w", err)
	}
	_, writeErr := input.Write(content)
	_, seekErr := input.Seek(0, io.SeekStart)
	if err := errors.Join(writeErr, seekErr, os.Remove(input.Name())); err != nil {
		return nil, fmt.Errorf("writing the users: %w", err)
	}
	setup := exec.CommandContext(ctx, filepath.Join(o.Bin, "minio-setup")) //nolint:gosec // built here
	setup.Stdin = input
	return setup, nil
}

// MakeUsers makes users of the object store, or changes them. It runs inside the node.
func MakeUsers(ctx context.Context, o Options, users []User) error {
	setup, err := setupCommand(ctx, o, users)
	if err != nil {
		return err
	}
	if output, err := setup.CombinedOutput(); err != nil {
		return fmt.Errorf("making the users of the object store: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// makeStores waits for MinIO and dynalite, and makes the buckets and the table.
func (n *node) makeStores(ctx context.Context) error {
	err := poll(ctx, pace, func(ctx context.Context) error {
		_, err := send(ctx, http.MethodGet, "http://"+storeAddress+"/minio/health/live", nil, "")
		return err
	})
	if err != nil {
		return fmt.Errorf("waiting for MinIO: %w", err)
	}
	setup, err := setupCommand(context.Background(), n.Options, nil)
	if err != nil {
		return err
	}
	if err := n.supervisor.task(ctx, "minio-setup", setup); err != nil {
		return err
	}
	if err := poll(ctx, pace, createTable); err != nil {
		return fmt.Errorf("making table %s: %w", indexTable, err)
	}
	return nil
}

// createTable makes the table for Loki's index, if it is not there, as the program makes it on AWS. It succeeds when the table is active.
func createTable(ctx context.Context) error {
	_, err := callTable(ctx, "CreateTable", map[string]any{
		"TableName": indexTable, "BillingMode": "PAY_PER_REQUEST",
		"KeySchema": []any{
			map[string]any{"AttributeName": "h", "KeyType": "HASH"},
			map[string]any{"AttributeName": "r", "KeyType": "RANGE"},
		},
		"AttributeDefinitions": []any{
			map[string]any{"AttributeName": "h", "AttributeType": "S"},
			map[string]any{"AttributeName": "r", "AttributeType": "B"},
		},
	})
	if err != nil && !strings.Contains(err.Error(), "ResourceInUseException") { // it is there
		return err
	}
	answer, err := callTable(ctx, "DescribeTable", map[string]any{"TableName": indexTable})
	if err != nil {
		return err
	}
	var described struct{ Table struct{ TableStatus string } }
	if err := json.Unmarshal(answer, &described); err != nil {
		return fmt.Errorf("reading dynalite's answer: %w", err)
	}
	if described.Table.TableStatus != "ACTIVE" {
		return fmt.Errorf("it is %s", described.Table.TableStatus)
	}
	return nil
}

// callTable calls DynamoDB's API. dynalite wants a signature, and believes any.
func callTable(ctx context.Context, operation string, body any) ([]byte, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding a call of dynalite: %w", err)
	}
	now := time.Now().UTC()
	header := http.Header{
		"Content-Type": {"application/x-amz-json-1.0"},
		"X-Amz-Target": {"DynamoDB_20120810." + operation},
		"X-Amz-Date":   {now.Format("20060102T150405Z")},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=lab/" + now.Format("20060102") +
			"/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=none"},
	}
	return send(ctx, http.MethodPost, "http://"+tableAddress, header, string(content))
}

// send a request. Any other status than 200 is an error, with what the server says.
func send(ctx context.Context, method, url string, header http.Header, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		request.Header = header
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read only
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, answer)
	}
	return answer, nil
}
