package cases

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// actor is a workload with credentials for the store, and what it may do with the objects of a bucket.
type actor struct {
	workload, selector, container string
	// may is any of list, get, put and delete.
	blocks, chunks []string
}

// actors state by hand who may do what, so that a policy that grants too much fails, and not only one that differs from what was generated.
func actors() []actor {
	read, write, manage := []string{"list", "get"}, []string{"list", "get", "put"}, []string{"list", "get", "put", "delete"}
	app := "app.kubernetes.io/name="
	return []actor{
		{"prometheus", app + "prometheus", "thanos-sidecar", write, nil},
		{"thanos-store", app + "thanos-store", "thanos-store", read, nil},
		{"thanos-compact", app + "thanos-compact", "thanos-compact", manage, nil},
		{"thanos-bucket-web", app + "thanos-bucket-web", "thanos-bucket-web", read, nil},
		{"loki", lokiTags, "loki", nil, write},
	}
}

// spareBucket is for what nobody may do and what would hurt if it worked.
const spareBucket = "lab-spare"

// TestLeastPrivilege: the store's users have exactly the policies that the program generates; with each workload's own credentials everything was
// tried that it must be able to do and must not; the pods run with these credentials and nothing of theirs was refused. The table's side
// is not shown: the lab's DynamoDB knows no users.
func TestLeastPrivilege(t *testing.T) {
	k := cluster(t)
	var policies map[string]json.RawMessage
	readJSON(t, labDir(t, "policies.json"), &policies)
	var keys map[string]struct{ AccessKey, SecretKey string }
	readJSON(t, labDir(t, "credentials.json"), &keys)
	var named []string
	for _, one := range actors() {
		named = append(named, one.workload)
	}
	require.ElementsMatch(t, named, slices.Collect(maps.Keys(policies)), "workloads with a policy")
	require.ElementsMatch(t, named, slices.Collect(maps.Keys(keys)), "workloads with credentials")

	root := s3Client()
	_, err := root.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(spareBucket)})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := root.DeleteBucket(context.Background(), &s3.DeleteBucketInput{Bucket: aws.String(spareBucket)})
		assert.NoError(t, err)
	})
	allowed, denied := 0, 0
	for _, one := range actors() {
		user := keys[one.workload]
		require.Equal(t, one.workload, user.AccessKey)
		requirePolicy(t, user.AccessKey, policies[one.workload])
		client := s3As(user.AccessKey, user.SecretKey)
		for bucket, may := range map[string][]string{blocks: one.blocks, chunks: one.chunks} {
			for _, action := range objectActions() {
				err := action.try(t, client, bucket, one.workload)
				if slices.Contains(may, action.kind) {
					assert.NoError(t, err, "%s must be able to %s in %s", one.workload, action.name, bucket)
					allowed++
				} else {
					assert.True(t, isDenied(err), "%s must not be able to %s in %s: %v", one.workload, action.name, bucket, err)
					denied++
				}
			}
		}
		for name, try := range forbidden(client, user.AccessKey, user.SecretKey) {
			err := try(t.Context())
			assert.True(t, isDenied(err), "%s must not be able to %s: %v", one.workload, name, err)
			denied++
		}
	}
	figure(t, "%d users have exactly the generated policies; of what they tried, %d things were allowed and had to be, %d refused and had to be",
		len(named), allowed, denied)
	k.usesOwnCredentials(t)
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, into), "decoding %s", file)
}

// objectAction is something that is done with objects; kind says what it needs to be allowed.
type objectAction struct {
	kind, name string
	try        func(t *testing.T, client *s3.Client, bucket, workload string) error
}

// objectActions work on keys that no program looks at.
func objectActions() []objectAction {
	key := func(workload, name string) *string { return aws.String("lab-privileges/" + workload + "/" + name) }
	// given is an object that root has put there.
	given := func(t *testing.T, bucket, workload string) *string {
		t.Helper()
		object := key(workload, "given")
		require.NoError(t, writeObject(t.Context(), s3Client(), bucket, *object))
		t.Cleanup(func() { removeObject(t, bucket, *object) })
		return object
	}
	return []objectAction{
		{"list", "list objects", func(t *testing.T, client *s3.Client, bucket, _ string) error {
			t.Helper()
			_, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(1)})
			return err //nolint:wrapcheck // the store's own error is what is looked at
		}},
		{"get", "read an object", func(t *testing.T, client *s3.Client, bucket, workload string) error {
			t.Helper()
			object := given(t, bucket, workload)
			answer, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: object})
			if err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			return err //nolint:wrapcheck // as above
		}},
		{"get", "learn that an object is missing", func(t *testing.T, client *s3.Client, bucket, workload string) error {
			t.Helper()
			_, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: key(workload, "missing")})
			if missing := (*types.NoSuchKey)(nil); errors.As(err, &missing) {
				return nil
			}
			return errors.Join(err, errors.New("the store does not say that it is missing"))
		}},
		{"put", "write an object", func(t *testing.T, client *s3.Client, bucket, workload string) error {
			t.Helper()
			object := *key(workload, "written")
			err := writeObject(t.Context(), client, bucket, object)
			if err == nil {
				removeObject(t, bucket, object)
			}
			return err
		}},
		{"put", "begin and abort an upload in parts", func(t *testing.T, client *s3.Client, bucket, workload string) error {
			t.Helper()
			object := key(workload, "parts")
			begun, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: object})
			if err == nil {
				_, err = client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
					Bucket: aws.String(bucket), Key: object, UploadId: begun.UploadId,
				})
			}
			return err //nolint:wrapcheck // as above
		}},
		{"delete", "delete an object", func(t *testing.T, client *s3.Client, bucket, workload string) error {
			t.Helper()
			object := given(t, bucket, workload)
			_, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: object})
			_, readErr := readObject(t.Context(), bucket, *object)
			assert.Equal(t, err == nil, readErr != nil, "the object is there or not, as the store has answered: %v, %v", err, readErr)
			return err //nolint:wrapcheck // as above
		}},
		{"delete", "delete several objects", func(t *testing.T, client *s3.Client, bucket, workload string) error {
			t.Helper()
			object := given(t, bucket, workload)
			answer, err := client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
				Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: object}}},
			})
			if err == nil && len(answer.Errors) > 0 {
				return &smithy.GenericAPIError{Code: aws.ToString(answer.Errors[0].Code), Message: aws.ToString(answer.Errors[0].Message)}
			}
			return err //nolint:wrapcheck // as above
		}},
	}
}

func writeObject(ctx context.Context, client *s3.Client, bucket, key string) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader("written")})
	return err //nolint:wrapcheck // as above
}

func removeObject(t *testing.T, bucket, key string) {
	t.Helper()
	// Not the test's context: it is done when a cleanup runs.
	_, err := s3Client().DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	assert.NoError(t, err, "removing %s from %s", key, bucket)
}

// forbidden is what no workload may do.
func forbidden(client *s3.Client, user, secret string) map[string]func(context.Context) error {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}`
	everybody := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},`+
		`"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/*"]}]}`, spareBucket)
	all := map[string]func(context.Context) error{
		"create a bucket": func(ctx context.Context) error {
			_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("lab-made-by-" + user)})
			return err //nolint:wrapcheck // the store's own error is what is looked at
		},
		"delete a bucket": func(ctx context.Context) error {
			_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String(spareBucket)})
			return err //nolint:wrapcheck // as above
		},
		"change the policy of a user": func(ctx context.Context) error {
			_, err := administer(ctx, user, secret, http.MethodPut, "add-canned-policy", url.Values{"name": {user}}, policy)
			return err
		},
		"list users": func(ctx context.Context) error {
			_, err := administer(ctx, user, secret, http.MethodGet, "list-users", nil, "")
			return err
		},
	}
	for _, bucket := range []string{spareBucket, blocks, chunks} {
		all["read the policy of "+bucket] = func(ctx context.Context) error {
			_, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String(bucket)})
			return err //nolint:wrapcheck // as above
		}
		all["read the lifecycle of "+bucket] = func(ctx context.Context) error {
			_, err := client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(bucket)})
			return err //nolint:wrapcheck // as above
		}
	}
	all["open a bucket to everybody"] = func(ctx context.Context) error {
		_, err := client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String(spareBucket), Policy: aws.String(everybody)})
		return err //nolint:wrapcheck // as above
	}
	all["version a bucket"] = func(ctx context.Context) error {
		_, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: aws.String(spareBucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
		})
		return err //nolint:wrapcheck // as above
	}
	return all
}

// isDenied tells a refusal from every other error.
func isDenied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "AccessDenied"
}

// administer calls MinIO's own API, which is signed like S3's.
func administer(ctx context.Context, user, secret, method, path string, params url.Values, body string) ([]byte, error) {
	target := s3Endpoint + "/minio/admin/v3/" + path + "?" + params.Encode()
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", target, err)
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	signer := aws.Credentials{AccessKeyID: user, SecretAccessKey: secret}
	if err = v4.NewSigner().SignHTTP(ctx, signer, request, hash, "s3", s3Region, time.Now()); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", target, err)
	}
	if response.StatusCode == http.StatusOK {
		return content, nil
	}
	var failure struct{ Code, Message string }
	if err = json.Unmarshal(content, &failure); err != nil {
		return nil, fmt.Errorf("%s: %s: %s", target, response.Status, content)
	}
	return nil, &smithy.GenericAPIError{Code: failure.Code, Message: failure.Message}
}

// requirePolicy: the user has one policy and is in no group; and the policy is the one that the program generates.
func requirePolicy(t *testing.T, user string, generated json.RawMessage) {
	t.Helper()
	content, err := administer(t.Context(), s3User, s3Password, http.MethodGet, "user-info", url.Values{"accessKey": {user}}, "")
	require.NoError(t, err)
	var info struct {
		PolicyName, Status string
		MemberOf           []string
	}
	require.NoError(t, json.Unmarshal(content, &info))
	require.NotEmpty(t, info.PolicyName, "user %s has no policy", user)
	require.NotContains(t, info.PolicyName, ",", "user %s has more than one policy", user)
	require.Empty(t, info.MemberOf, "user %s is in a group", user)
	require.Equal(t, "enabled", info.Status)
	stored, err := administer(t.Context(), s3User, s3Password, http.MethodGet, "info-canned-policy", url.Values{"name": {info.PolicyName}}, "")
	require.NoError(t, err)
	require.Equal(t, statements(t, generated), statements(t, stored), "policy of user %s", user)
}

// statement of a policy, its lists sorted.
type statement struct {
	Sid, Effect      string
	Action, Resource []string
	Condition        map[string]any
}

func statements(t *testing.T, policy []byte) []statement {
	t.Helper()
	var document struct{ Statement []statement }
	decoder := json.NewDecoder(bytes.NewReader(policy))
	require.NoError(t, decoder.Decode(&document), "decoding a policy: %s", policy)
	require.NotEmpty(t, document.Statement)
	for _, one := range document.Statement {
		slices.Sort(one.Action)
		slices.Sort(one.Resource)
	}
	slices.SortFunc(document.Statement, func(a, b statement) int { return strings.Compare(a.Sid, b.Sid) })
	return document.Statement
}

// usesOwnCredentials: every process that talks to the store has the credentials of its workload, and nothing that it asked for was refused.
func (k *kube) usesOwnCredentials(t *testing.T) {
	t.Helper()
	logs := k.loki(t)
	require.NoError(t, logs.push(t.Context(), line{map[string]string{"lab_privileges": "line"}, time.Now().UnixNano(), "written for a flush"}))
	require.NoError(t, logs.flush(t.Context()))
	for _, one := range actors() {
		pods := k.pods(t, namespace, one.selector)
		require.NotEmpty(t, pods, "pods of %s", one.workload)
		for _, pod := range pods {
			environment, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(k.process(t, pod, one.container)), "environ"))
			require.NoError(t, err)
			assert.Contains(t, strings.Split(string(environment), "\x00"), "AWS_ACCESS_KEY_ID="+one.workload, "environment of %s", pod.Name)
			done, failed, log := "thanos_objstore_bucket_operations_total", "thanos_objstore_bucket_operation_failures_total", ""
			if one.workload == "loki" {
				done, failed = "loki_s3_request_duration_seconds_count", "loki_ingester_chunks_flush_failures_total"
			}
			var operations, failures float64
			eventually(t, 2*time.Minute, pod.Name+" has used the store", func() (err error) {
				if operations, _, err = exposed(t.Context(), pod, storePort(one), done); err != nil {
					return err
				}
				if operations == 0 {
					return errors.New("it has not")
				}
				if failures, _, err = exposed(t.Context(), pod, storePort(one), failed); err != nil {
					return err
				}
				log, err = k.containerLog(t.Context(), pod, one.container)
				return err
			})
			figure(t, "%s as %s: %g operations, %g failed", pod.Name, one.workload, operations, failures)
			assert.Zero(t, failures, "operations of %s that failed", pod.Name)
			for _, word := range []string{"AccessDenied", "Access Denied"} {
				assert.NotContains(t, log, word, "log of %s", pod.Name)
			}
		}
	}
}

// storePort is where the program that talks to the store shows its metrics.
func storePort(one actor) int {
	if one.workload == "loki" {
		return 3100
	}
	return 10902
}
