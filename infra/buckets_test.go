package infra_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	bucketType     = "aws:s3/bucketV2:BucketV2"
	lifecycleType  = "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2"
	bucketNameRule = "must be 3 to 63 lower-case letters, digits, dashes and single dots, beginning and ending with a letter or digit"

	keyARN = "arn:aws:kms:ap-northeast-1:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"
)

// runBucket builds a bucket and returns what it registered, the bucket, and its name, ARN, location's bucket and region.
func runBucket(t *testing.T, args *infra.BucketArgs) (*mocks.Recorder, *infra.Bucket, []any) {
	t.Helper()
	r := &mocks.Recorder{}
	var bucket *infra.Bucket
	var known []any
	r.Run(t, func(ctx *pulumi.Context) (err error) {
		bucket, err = infra.NewBucket(ctx, "blocks", args)
		if err != nil {
			return err
		}
		at := bucket.Location
		ctx.Export("all", pulumi.All(bucket.Name, bucket.ARN, at.Bucket, at.Region).ApplyT(func(all []any) string {
			known = all
			return ""
		}))
		return nil
	})
	return r, bucket, known
}

func TestBucket(t *testing.T) {
	t.Parallel()
	r, bucket, known := runBucket(t, &infra.BucketArgs{DefaultName: "kansoku-blocks", Region: "ap-northeast-1"})

	assert.Equal(t, map[string]int{
		"kansoku:infra:Bucket": 1,
		bucketType:             1,
		lifecycleType:          1,
		"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     1,
		"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     1,
		"aws:s3/bucketPolicy:BucketPolicy":                                                           1,
		"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": 1,
	}, typesOf(r))
	requireChildren(t, r, "kansoku:infra:Bucket::blocks")
	assert.Equal(t, []any{"kansoku-blocks", "arn:aws:s3:::kansoku-blocks", "kansoku-blocks", "ap-northeast-1"}, known)
	assert.Empty(t, bucket.KMSKeyARN)
	assert.Empty(t, bucket.Location.Endpoint)

	one := r.Get(t, bucketType, "blocks")
	assert.Equal(t, map[string]any{"bucket": "kansoku-blocks", "forceDestroy": false}, one.Inputs)
	assert.Equal(t, []string{"bucket"}, one.Ignore)
	assert.False(t, one.Protect)
	assert.Empty(t, one.Depends)

	assert.Equal(t, map[string]any{
		"bucket": "kansoku-blocks", "blockPublicAcls": true, "blockPublicPolicy": true, "ignorePublicAcls": true, "restrictPublicBuckets": true,
	}, r.Get(t, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "blocks-private").Inputs)
	assert.Equal(t, map[string]any{"bucket": "kansoku-blocks", "rule": map[string]any{"objectOwnership": "BucketOwnerEnforced"}},
		r.Get(t, "aws:s3/bucketOwnershipControls:BucketOwnershipControls", "blocks-ownership").Inputs)
	policy := r.Get(t, "aws:s3/bucketPolicy:BucketPolicy", "blocks-tls")
	assert.Equal(t, map[string]any{
		"bucket": "kansoku-blocks",
		"policy": `{"Version":"2012-10-17","Statement":[{"Sid":"TLSOnly","Effect":"Deny","Principal":{"AWS":"*"},"Action":["s3:*"],` +
			`"Resource":["arn:aws:s3:::kansoku-blocks","arn:aws:s3:::kansoku-blocks/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`,
	}, policy.Inputs)
	assert.Equal(t, []string{
		"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock::blocks-private", bucketType + "::blocks",
	}, waitsFor(policy))
	encryption := r.OfType("aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2")[0]
	assert.Equal(t, "blocks-encryption", encryption.Name)
	assert.Equal(t, map[string]any{"bucket": "kansoku-blocks", "rules": []any{
		map[string]any{"applyServerSideEncryptionByDefault": map[string]any{"sseAlgorithm": "AES256"}},
	}}, encryption.Inputs)
	lifecycle := r.Get(t, lifecycleType, "blocks-lifecycle")
	assert.Equal(t, map[string]any{"bucket": "kansoku-blocks", "rules": []any{cleanUp(3, 7)}}, lifecycle.Inputs)
	assert.Equal(t, []string{bucketType + "::blocks"}, waitsFor(lifecycle))
}

func cleanUp(abort, noncurrent float64) map[string]any {
	return map[string]any{
		"id": "clean-up", "status": "Enabled", "filter": map[string]any{},
		"abortIncompleteMultipartUpload": map[string]any{"daysAfterInitiation": abort},
		"noncurrentVersionExpiration":    map[string]any{"noncurrentDays": noncurrent},
		"expiration":                     map[string]any{"expiredObjectDeleteMarker": true},
	}
}

func TestBucketBySettings(t *testing.T) {
	t.Parallel()
	r, bucket, known := runBucket(t, &infra.BucketArgs{
		BucketSettings: infra.BucketSettings{
			Name: "chosen-name", Versioning: true, KMSKeyARN: keyARN, ExpireDays: 365, ExpirePrefix: "fake/", NoncurrentDays: 2,
			AbortMultipartDays: 1,
			Transitions:        []infra.Transition{{StorageClass: "STANDARD_IA", Days: 30}, {StorageClass: "GLACIER_IR", Days: 90}},
		},
		DefaultName: "kansoku-blocks", Region: "cn-north-1", Partition: "aws-cn", Protect: true,
	})
	assert.Equal(t, []any{"chosen-name", "arn:aws-cn:s3:::chosen-name", "chosen-name", "cn-north-1"}, known)
	assert.Equal(t, keyARN, bucket.KMSKeyARN)
	for _, one := range r.All() {
		assert.Equal(t, one.Type == bucketType, one.Protect, "only the data is protected: %s", one.Type)
	}
	assert.Equal(t, "chosen-name", r.Get(t, bucketType, "blocks").Inputs["bucket"])
	encryption := r.OfType("aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2")[0]
	assert.Equal(t, []any{map[string]any{
		"applyServerSideEncryptionByDefault": map[string]any{"sseAlgorithm": "aws:kms", "kmsMasterKeyId": keyARN}, "bucketKeyEnabled": true,
	}}, encryption.Inputs["rules"])
	const versioningType = "aws:s3/bucketVersioningV2:BucketVersioningV2"
	assert.Equal(t, map[string]any{"bucket": "chosen-name", "versioningConfiguration": map[string]any{"status": "Enabled"}},
		r.Get(t, versioningType, "blocks-versioning").Inputs)
	require.Len(t, r.OfType(lifecycleType), 1)
	lifecycle := r.Get(t, lifecycleType, "blocks-lifecycle")
	assert.Equal(t, []any{
		cleanUp(1, 2),
		map[string]any{
			"id": "expire", "status": "Enabled", "filter": map[string]any{"prefix": "fake/"}, "expiration": map[string]any{"days": 365.},
		},
		map[string]any{"id": "transition", "status": "Enabled", "filter": map[string]any{}, "transitions": []any{
			map[string]any{"storageClass": "STANDARD_IA", "days": 30.}, map[string]any{"storageClass": "GLACIER_IR", "days": 90.},
		}},
	}, lifecycle.Inputs["rules"])
	assert.Equal(t, []string{bucketType + "::blocks", versioningType + "::blocks-versioning"}, waitsFor(lifecycle))
}

func TestBucketExpiresAllWithoutPrefix(t *testing.T) {
	t.Parallel()
	r, _, _ := runBucket(t, &infra.BucketArgs{
		BucketSettings: infra.BucketSettings{ExpireDays: 30, ForceDestroy: true}, DefaultName: "kansoku-blocks", Region: "ap-northeast-1",
	})
	assert.Equal(t, map[string]any{
		"id": "expire", "status": "Enabled", "filter": map[string]any{}, "expiration": map[string]any{"days": 30.},
	}, r.Get(t, lifecycleType, "blocks-lifecycle").Field("rules", 1))
	assert.Equal(t, true, r.Get(t, bucketType, "blocks").Inputs["forceDestroy"])
}

func TestExistingBucketIsReadNotCreated(t *testing.T) {
	t.Parallel()
	args := &infra.BucketArgs{
		BucketSettings: infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "theirs.with.dots", KMSKeyARN: keyARN}},
		DefaultName:    "kansoku-blocks", Region: "ap-northeast-1", Protect: true,
	}
	r, bucket, known := runBucket(t, args)
	assert.Equal(t, []any{"theirs.with.dots", "arn:aws:s3:::theirs.with.dots", "theirs.with.dots", "ap-northeast-1"}, known)
	assert.Equal(t, keyARN, bucket.KMSKeyARN)
	assert.Equal(t, map[string]int{"kansoku:infra:Bucket": 1, bucketType: 1}, typesOf(r))
	requireParents(t, r, "kansoku:infra:Bucket::blocks", bucketType)
	assert.Equal(t, "blocks", r.OfType(bucketType)[0].Name)
	assert.Empty(t, r.OfType(bucketType)[0].Inputs)

	args.Existing.Region = "us-east-1"
	_, _, known = runBucket(t, args)
	assert.Equal(t, "us-east-1", known[3])
}

func TestBucketBehindEndpointNeedsNoAWS(t *testing.T) {
	t.Parallel()
	args := &infra.BucketArgs{BucketSettings: infra.BucketSettings{Existing: &infra.ExistingBucket{
		Name: "blocks", Endpoint: "minio.storage.svc:9000", Insecure: true, CredentialsSecret: "minio",
	}}}
	r, bucket, known := runBucket(t, args)
	assert.Equal(t, map[string]int{"kansoku:infra:Bucket": 1}, typesOf(r))
	assert.Equal(t, []any{"blocks", "", "blocks", "us-east-1"}, known)
	assert.Equal(t, "minio.storage.svc:9000", bucket.Location.Endpoint)
	assert.True(t, bucket.Location.Insecure)
	assert.Equal(t, "minio", bucket.Location.CredentialsSecret)

	args.Region = "ap-northeast-1"
	_, _, known = runBucket(t, args)
	assert.Equal(t, "ap-northeast-1", known[3])
	args.Existing.Region = "garage"
	_, _, known = runBucket(t, args)
	assert.Equal(t, "garage", known[3])
}

func TestBucketValidation(t *testing.T) {
	t.Parallel()
	named := func(name string) infra.BucketSettings { return infra.BucketSettings{Name: name} }
	moved := func(expire int, transitions ...infra.Transition) infra.BucketSettings {
		return infra.BucketSettings{ExpireDays: expire, Transitions: transitions}
	}
	for name, test := range map[string]struct {
		settings infra.BucketSettings
		want     string // empty: valid
	}{
		"zero":             {infra.BucketSettings{}, ""},
		"a name":           {named("a-1"), ""},
		"longest name":     {named(strings.Repeat("a", 63)), ""},
		"long name":        {named(strings.Repeat("a", 64)), `name: ` + bucketNameRule + `, got "` + strings.Repeat("a", 64) + `"`},
		"short name":       {named("ab"), `name: ` + bucketNameRule + `, got "ab"`},
		"upper-case name":  {named("Blocks"), `name: ` + bucketNameRule + `, got "Blocks"`},
		"underscore":       {named("my_blocks"), `name: ` + bucketNameRule + `, got "my_blocks"`},
		"dash at the end":  {named("blocks-"), `name: ` + bucketNameRule + `, got "blocks-"`},
		"dot":              {named("my.blocks"), `name: must hold no dots: S3's certificate does not cover such a host name, got "my.blocks"`},
		"reserved prefix":  {named("xn--blocks"), `name: must not begin with xn--: S3 reserves it, got "xn--blocks"`},
		"reserved suffix":  {named("blocks-s3alias"), `name: must not end with -s3alias: S3 reserves it, got "blocks-s3alias"`},
		"directory bucket": {named("blocks--x-s3"), `name: must not end with --x-s3: S3 reserves it, got "blocks--x-s3"`},
		"key by alias": {
			infra.BucketSettings{KMSKeyARN: "alias/blocks"},
			`kmsKeyArn: must be the ARN of a KMS key, "arn:aws:kms:REGION:ACCOUNT:key/ID", got "alias/blocks"`,
		},
		"negative days": {
			infra.BucketSettings{NoncurrentDays: -1, AbortMultipartDays: -2, ExpireDays: -3},
			`noncurrentDays: must be 1 to 36500 days, got -1
abortMultipartDays: must be 1 to 36500 days, got -2
expireDays: must be 0 to 36500 days, got -3`,
		},
		"prefix without expiry": {infra.BucketSettings{ExpirePrefix: "fake/"}, `expirePrefix: must not be set without expireDays, got "fake/"`},
		"prefix with a slash": {
			infra.BucketSettings{ExpireDays: 9, ExpirePrefix: "/fake"},
			`expirePrefix: must be at most 1024 bytes and not begin with a slash: no key does, got "/fake"`,
		},
		"transitions": {
			moved(365, infra.Transition{"STANDARD_IA", 30}, infra.Transition{"INTELLIGENT_TIERING", 60}, infra.Transition{"GLACIER_IR", 90}), "",
		},
		"at once": {moved(0, infra.Transition{"INTELLIGENT_TIERING", 0}), ""},
		"archive": {
			moved(0, infra.Transition{"GLACIER", 90}),
			`transitions[0].storageClass: must be one of STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, got "GLACIER"`,
		},
		"infrequent access too early": {moved(0, infra.Transition{"STANDARD_IA", 29}), `transitions[0].days: must be 30 to 36500 days, got 29`},
		"one after the other too early": {
			moved(0, infra.Transition{"STANDARD_IA", 40}, infra.Transition{"GLACIER_IR", 69}),
			`transitions[1].days: must be 70 to 36500 days, got 69`,
		},
		"backwards": {
			moved(0, infra.Transition{"GLACIER_IR", 40}, infra.Transition{"STANDARD_IA", 80}),
			`transitions[1].storageClass: must be a class to which S3 moves objects from GLACIER_IR, got "STANDARD_IA"`,
		},
		"twice": {
			moved(0, infra.Transition{"STANDARD_IA", 40}, infra.Transition{"STANDARD_IA", 80}),
			`transitions[1].storageClass: must be a class to which S3 moves objects from STANDARD_IA, got "STANDARD_IA"`,
		},
		"from one zone": {
			moved(0, infra.Transition{"ONEZONE_IA", 30}, infra.Transition{"GLACIER_IR", 80}),
			`transitions[1].storageClass: must be a class to which S3 moves objects from ONEZONE_IA, got "GLACIER_IR"`,
		},
		"expired before": {moved(30, infra.Transition{"STANDARD_IA", 30}), `transitions[0].days: must be less than expireDays, 30, got 30`},
		"nonsense": {
			moved(0, infra.Transition{"", -9223372036854775808}, infra.Transition{"", 9223372036854775807}),
			`transitions[0].storageClass: must be one of STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, got ""
transitions[0].days: must be 0 to 36500 days, got -9223372036854775808
transitions[1].storageClass: must be one of STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, got ""
transitions[1].days: must be 0 to 36500 days, got 9223372036854775807`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireInvalid(t, test.settings.WithDefaults().Validate(), test.want)
		})
	}
}

func TestExistingBucketValidation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings infra.BucketSettings
		want     string // empty: valid
	}{
		"on AWS":    {infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "theirs", Region: "us-gov-west-1", KMSKeyARN: keyARN}}, ""},
		"elsewhere": {infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "theirs", Endpoint: "10.0.0.9:9000"}}, ""},
		"without a port": {
			infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "theirs", Endpoint: "minio", CredentialsSecret: "a.b"}}, "",
		},
		"beside new ones": {
			infra.BucketSettings{
				Name: "ours", Versioning: true, KMSKeyARN: keyARN, ExpireDays: 1, ExpirePrefix: "p", NoncurrentDays: 1, AbortMultipartDays: 1,
				Transitions: []infra.Transition{{"STANDARD_IA", 30}}, ForceDestroy: true, Existing: &infra.ExistingBucket{Name: "theirs"},
			},
			`name: must not be set beside existing, got "ours"
versioning: must not be set beside existing, got true
kmsKeyArn: must not be set beside existing, got "` + keyARN + `"
expireDays: must not be set beside existing, got 1
expirePrefix: must not be set beside existing, got "p"
noncurrentDays: must not be set beside existing, got 1
abortMultipartDays: must not be set beside existing, got 1
transitions: must not be set beside existing, got [{"StorageClass":"STANDARD_IA","Days":30}]
forceDestroy: must not be set beside existing, got true`,
		},
		"malformed on AWS": {
			infra.BucketSettings{Existing: &infra.ExistingBucket{
				Name: "192.168.1.1", Region: "tokyo", KMSKeyARN: "k", Insecure: true, CredentialsSecret: "s",
			}},
			`existing.name: must not look like an IP address, got "192.168.1.1"
existing.region: must be a region such as "ap-northeast-1", got "tokyo"
existing.kmsKeyArn: must be the ARN of a KMS key, "arn:aws:kms:REGION:ACCOUNT:key/ID", got "k"
existing.insecure: must not be set without endpoint: AWS speaks TLS only, got true
existing.credentialsSecret: must not be set without endpoint: on AWS roles are used, got "s"`,
		},
		"malformed elsewhere": {
			infra.BucketSettings{Existing: &infra.ExistingBucket{
				Name: "a..b", Endpoint: "http://minio", KMSKeyARN: keyARN, CredentialsSecret: "My_Secret",
			}},
			`existing.name: ` + bucketNameRule + `, got "a..b"
existing.endpoint: must be a host, with a port where needed, such as "minio.storage.svc:9000", got "http://minio"
existing.kmsKeyArn: must not be set with endpoint: the key is AWS', got "` + keyARN + `"
existing.credentialsSecret: must be the name of a Secret: lower-case letters, digits, dashes and dots, got "My_Secret"`,
		},
		"port": {
			infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "theirs", Endpoint: "minio:65536"}},
			`existing.endpoint: must be a host, with a port where needed, such as "minio.storage.svc:9000", got "minio:65536"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireInvalid(t, test.settings.WithDefaults().Validate(), test.want)
		})
	}
}

func TestBucketRefusesBeforeRegistering(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args *infra.BucketArgs
		want string
	}{
		{nil, `checking bucket blocks: name: must be set, or a default name be given, got ""
region: must be a region such as "ap-northeast-1", got ""`},
		{
			&infra.BucketArgs{
				BucketSettings: infra.BucketSettings{ForceDestroy: true}, DefaultName: "No", Region: "ap-northeast-1", Partition: "azure",
				Protect: true,
			},
			`checking bucket blocks: partition: must be a partition of AWS, such as "aws", got "azure"
forceDestroy: must not be set for a protected bucket, got true
name: ` + bucketNameRule + `, got "No"`,
		},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := infra.NewBucket(ctx, "blocks", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want)
		assert.Empty(t, r.All())
	}
}

func TestBucketDefaults(t *testing.T) {
	t.Parallel()
	full := infra.BucketSettings{}.WithDefaults()
	assert.Equal(t, infra.BucketSettings{NoncurrentDays: 7, AbortMultipartDays: 3}, full)
	assert.Equal(t, full, full.WithDefaults())
	existing := infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "theirs"}}
	assert.Equal(t, existing, existing.WithDefaults())
}

func FuzzBucketValidation(f *testing.F) {
	f.Add("blocks", "fake/", "STANDARD_IA", "minio:9000", 30, 60)
	f.Add("a..b", "/", "", ":", -1, 1<<62)
	f.Fuzz(func(_ *testing.T, name, prefix, class, endpoint string, days, later int) {
		for _, existing := range []*infra.ExistingBucket{nil, {Name: name, Endpoint: endpoint, CredentialsSecret: prefix, Region: class}} {
			_ = infra.BucketSettings{
				Name: name, ExpireDays: later, ExpirePrefix: prefix, NoncurrentDays: days, KMSKeyARN: endpoint, Existing: existing,
				Transitions: []infra.Transition{{class, days}, {"STANDARD_IA", later}, {class, later}},
			}.WithDefaults().Validate()
		}
	})
}
