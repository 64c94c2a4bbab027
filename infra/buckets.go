package infra

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/check"
)

// bucketToken is part of every child's URN and must never change: a new one would replace the bucket.
const bucketToken = "kansoku:infra:Bucket"

const (
	defaultPartition          = "aws"
	defaultNoncurrentDays     = 7
	defaultAbortMultipartDays = 3
	defaultStoreRegion        = "us-east-1" // what MinIO and most other S3-compatible stores answer to

	infrequentAccessDays = 30 // S3 moves no object to an infrequent-access class earlier, and on from one no earlier than that again
	maxLifecycleDays     = 36500
	maxKeyBytes          = 1024 // of an S3 key, and so of a prefix
)

var (
	bucketPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	kmsKeyPattern    = regexp.MustCompile(`^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9A-Za-z-]+$`)
	partitionPattern = regexp.MustCompile(`^aws(-[a-z]+)*$`)
	endpointPattern  = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?(:[0-9]{1,5})?$`)

	// What S3 keeps for itself.
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}

	// Where S3 can move an object from each class. GLACIER and DEEP_ARCHIVE are left out: their objects must be restored before they can
	// be read, so a query that reaches them fails.
	transitionTargets = map[string][]string{
		"STANDARD_IA":         {"INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR"},
		"INTELLIGENT_TIERING": {"ONEZONE_IA", "GLACIER_IR"},
		"ONEZONE_IA":          {},
		"GLACIER_IR":          {},
	}
	storageClasses = []string{"STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR"}
)

// BucketSettings says how a bucket is named and how long it keeps what, or which bucket to use. What is always so: no public access, no
// ACLs, encryption, TLS only.
type BucketSettings struct {
	// Name of the bucket: 3 to 63 lower-case letters, digits and dashes, unique in the whole of S3. Default: BucketArgs.DefaultName.
	// S3 cannot rename: once the bucket exists, another name here changes nothing.
	Name string `pulumi:"name,optional"`
	// Versioning keeps what is deleted or overwritten for NoncurrentDays. Default: false.
	Versioning bool `pulumi:"versioning,optional"`
	// KMSKeyARN is the customer key that encrypts new objects, through a bucket key. Default: S3's own key (SSE-S3).
	KMSKeyARN string `pulumi:"kmsKeyArn,optional"`
	// ExpireDays is the age, in days, at which objects are deleted. Default: 0, never. Must exceed the stack's own retention.
	ExpireDays int `pulumi:"expireDays,optional"`
	// ExpirePrefix restricts ExpireDays to the keys that begin with it ("fake/"). Default: all.
	ExpirePrefix string `pulumi:"expirePrefix,optional"`
	// NoncurrentDays is how long a replaced or deleted version is kept, in days. Default: 7. It also cleans up after versioning has been
	// switched off.
	NoncurrentDays int `pulumi:"noncurrentDays,optional"`
	// AbortMultipartDays is the age, in days, at which the parts of an unfinished upload are deleted. Default: 3.
	AbortMultipartDays int `pulumi:"abortMultipartDays,optional"`
	// Transitions move ageing objects to cheaper storage classes, in this order. Default: none. S3 leaves objects below 128 KB where they are.
	Transitions []Transition `pulumi:"transitions,optional"`
	// ForceDestroy lets a destroy delete the bucket with all that is in it; without it only an empty bucket goes. Default: false. Not for
	// a protected bucket.
	ForceDestroy bool `pulumi:"forceDestroy,optional"`
	// Existing is a bucket that is there already. Default: a new one. Nothing else may be set beside it.
	Existing *ExistingBucket `pulumi:"existing,optional"`
}

// Transition moves objects of an age to a storage class.
type Transition struct {
	// StorageClass is STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA or GLACIER_IR: those that can be read at once. Required.
	StorageClass string `pulumi:"storageClass"`
	// Days is the age: at least 30 for STANDARD_IA and ONEZONE_IA, and 30 more than the transition before.
	Days int `pulumi:"days"`
}

// ExistingBucket is a bucket that is never changed: its encryption, lifecycle and policy are its owner's.
type ExistingBucket struct {
	// Name of the bucket. Required.
	Name string `pulumi:"name"`
	// Region of the bucket. Default: the stack's own; us-east-1 with an endpoint where the stack has none.
	Region string `pulumi:"region,optional"`
	// KMSKeyARN is the customer key that the bucket encrypts with, so that roles may use it. Default: none.
	KMSKeyARN string `pulumi:"kmsKeyArn,optional"`
	// Endpoint is the host, with a port where needed, of an S3-compatible store ("minio.storage.svc:9000"). Default: AWS.
	// With an endpoint nothing is read from AWS and no role is granted anything.
	Endpoint string `pulumi:"endpoint,optional"`
	// Insecure speaks plain HTTP to the endpoint. Default: false.
	Insecure bool `pulumi:"insecure,optional"`
	// CredentialsSecret names the Secret with the endpoint's credentials (see objectstore.Location). Only with an endpoint.
	CredentialsSecret string `pulumi:"credentialsSecret,optional"`
}

// BucketArgs are the settings and what the stack gives every bucket.
type BucketArgs struct {
	BucketSettings
	// DefaultName is the name of a new bucket whose settings have none.
	DefaultName string `pulumi:"defaultName,optional"`
	// Region of the provider. Required but for a bucket behind an endpoint.
	Region string `pulumi:"region,optional"`
	// Partition of AWS, for ARNs. Default: aws.
	Partition string `pulumi:"partition,optional"`
	// Protect refuses to delete the bucket. Default: false.
	Protect bool `pulumi:"protect,optional"`
}

// WithDefaults fills in what is left out, but the name.
func (s BucketSettings) WithDefaults() BucketSettings {
	if s.Existing != nil {
		return s
	}
	if s.NoncurrentDays == 0 {
		s.NoncurrentDays = defaultNoncurrentDays
	}
	if s.AbortMultipartDays == 0 {
		s.AbortMultipartDays = defaultAbortMultipartDays
	}
	return s
}

// WithDefaults fills in what is left out.
func (a BucketArgs) WithDefaults() BucketArgs {
	a.BucketSettings = a.BucketSettings.WithDefaults()
	if a.Existing == nil && a.Name == "" {
		a.Name = a.DefaultName
	}
	if a.Partition == "" {
		a.Partition = defaultPartition
	}
	return a
}

// Validate reports every violation. An empty name is none: it stands for the default.
func (s BucketSettings) Validate() error {
	var e check.Errors
	s.validate(&e)
	return e.Err()
}

// Validate reports every violation of the settings and of what the stack gives.
func (a BucketArgs) Validate() error {
	var e check.Errors
	e.Require(a.Existing != nil || a.Name != "", "name", a.Name, "must be set, or a default name be given")
	e.Require(partitionPattern.MatchString(a.Partition), "partition", a.Partition, `must be a partition of AWS, such as "aws"`)
	if a.Existing == nil || a.Existing.Endpoint == "" {
		e.Require(regionPattern.MatchString(a.Region), "region", a.Region, `must be a region such as "ap-northeast-1"`)
	}
	e.Require(!a.Protect || !a.ForceDestroy, "forceDestroy", a.ForceDestroy, "must not be set for a protected bucket")
	a.validate(&e)
	return e.Err()
}

func (s BucketSettings) validate(e *check.Errors) {
	if s.Existing != nil {
		s.validateNothingBeside(e)
		s.Existing.validate(e)
		return
	}
	if s.Name != "" {
		validateBucketName(e, "name", s.Name)
		e.Require(!strings.Contains(s.Name, "."), "name", s.Name, "must hold no dots: S3's certificate does not cover such a host name")
	}
	validateKMSKey(e, "kmsKeyArn", s.KMSKeyARN)
	validateDays(e, "noncurrentDays", s.NoncurrentDays, 1)
	validateDays(e, "abortMultipartDays", s.AbortMultipartDays, 1)
	validateDays(e, "expireDays", s.ExpireDays, 0)
	if s.ExpirePrefix != "" {
		e.Require(s.ExpireDays != 0, "expirePrefix", s.ExpirePrefix, "must not be set without expireDays")
		e.Require(len(s.ExpirePrefix) <= maxKeyBytes && !strings.HasPrefix(s.ExpirePrefix, "/"), "expirePrefix", s.ExpirePrefix,
			"must be at most %d bytes and not begin with a slash: no key does", maxKeyBytes)
	}
	s.validateTransitions(e)
}

// validateNothingBeside refuses settings of a new bucket beside an existing one.
func (s BucketSettings) validateNothingBeside(e *check.Errors) {
	const want = "must not be set beside existing"
	e.Require(s.Name == "", "name", s.Name, want)
	e.Require(!s.Versioning, "versioning", s.Versioning, want)
	e.Require(s.KMSKeyARN == "", "kmsKeyArn", s.KMSKeyARN, want)
	e.Require(s.ExpireDays == 0, "expireDays", s.ExpireDays, want)
	e.Require(s.ExpirePrefix == "", "expirePrefix", s.ExpirePrefix, want)
	e.Require(s.NoncurrentDays == 0, "noncurrentDays", s.NoncurrentDays, want)
	e.Require(s.AbortMultipartDays == 0, "abortMultipartDays", s.AbortMultipartDays, want)
	e.Require(len(s.Transitions) == 0, "transitions", s.Transitions, want)
	e.Require(!s.ForceDestroy, "forceDestroy", s.ForceDestroy, want)
}

func (s BucketSettings) validateTransitions(e *check.Errors) {
	for i, t := range s.Transitions {
		class, days := fmt.Sprintf("transitions[%d].storageClass", i), fmt.Sprintf("transitions[%d].days", i)
		check.OneOf(e, class, t.StorageClass, storageClasses...)
		earliest := 0
		if strings.HasSuffix(t.StorageClass, "_IA") {
			earliest = infrequentAccessDays
		}
		if i > 0 {
			before := s.Transitions[i-1]
			if targets, known := transitionTargets[before.StorageClass]; known && transitionTargets[t.StorageClass] != nil {
				e.Require(slices.Contains(targets, t.StorageClass), class, t.StorageClass, "must be a class to which S3 moves objects from %s",
					before.StorageClass)
			}
			// A negative or absurd age is reported at its own place.
			earliest = max(earliest, min(before.Days, maxLifecycleDays)+infrequentAccessDays)
		}
		validateDays(e, days, t.Days, earliest)
		e.Require(s.ExpireDays <= 0 || t.Days < s.ExpireDays, days, t.Days, "must be less than expireDays, %d", s.ExpireDays)
	}
}

func validateDays(e *check.Errors, key string, days, least int) {
	e.Require(days >= least && days <= maxLifecycleDays, key, days, "must be %d to %d days", least, maxLifecycleDays)
}

// validateKMSKey accepts no key, or a key's ARN: an IAM policy cannot name a key by its alias.
func validateKMSKey(e *check.Errors, key, arn string) {
	e.Require(arn == "" || kmsKeyPattern.MatchString(arn), key, arn,
		`must be the ARN of a KMS key, "arn:aws:kms:REGION:ACCOUNT:key/ID"`)
}

// validateBucketName applies S3's rules for names.
func validateBucketName(e *check.Errors, key, name string) {
	e.Require(bucketPattern.MatchString(name) && !strings.Contains(name, ".."), key, name,
		"must be 3 to 63 lower-case letters, digits, dashes and single dots, beginning and ending with a letter or digit")
	_, err := netip.ParseAddr(name)
	e.Require(err != nil, key, name, "must not look like an IP address")
	for _, prefix := range reservedPrefixes {
		e.Require(!strings.HasPrefix(name, prefix), key, name, "must not begin with %s: S3 reserves it", prefix)
	}
	for _, suffix := range reservedSuffixes {
		e.Require(!strings.HasSuffix(name, suffix), key, name, "must not end with %s: S3 reserves it", suffix)
	}
}

func (b ExistingBucket) validate(e *check.Errors) {
	validateBucketName(e, "existing.name", b.Name)
	if b.Endpoint == "" {
		e.Require(b.Region == "" || regionPattern.MatchString(b.Region), "existing.region", b.Region, `must be a region such as "ap-northeast-1"`)
		validateKMSKey(e, "existing.kmsKeyArn", b.KMSKeyARN)
		e.Require(!b.Insecure, "existing.insecure", b.Insecure, "must not be set without endpoint: AWS speaks TLS only")
		e.Require(b.CredentialsSecret == "", "existing.credentialsSecret", b.CredentialsSecret,
			"must not be set without endpoint: on AWS roles are used")
		return
	}
	_, port, hasPort := strings.Cut(b.Endpoint, ":")
	number, err := strconv.Atoi(port)
	e.Require(endpointPattern.MatchString(b.Endpoint) && (!hasPort || err == nil && number >= 1 && number <= 65535),
		"existing.endpoint", b.Endpoint, `must be a host, with a port where needed, such as "minio.storage.svc:9000"`)
	e.Require(b.KMSKeyARN == "", "existing.kmsKeyArn", b.KMSKeyARN, "must not be set with endpoint: the key is AWS'")
	if b.CredentialsSecret != "" {
		e.Require(!slices.ContainsFunc(strings.Split(b.CredentialsSecret, "."), func(label string) bool { return !kube.IsDNSLabel(label) }),
			"existing.credentialsSecret", b.CredentialsSecret, "must be the name of a Secret: lower-case letters, digits, dashes and dots")
	}
}

// Bucket is a bucket and how workloads reach it.
type Bucket struct {
	pulumi.ResourceState

	// Name of the bucket.
	Name pulumi.StringOutput `pulumi:"name"`
	// ARN is empty behind an endpoint.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// Location is what the components take.
	Location objectstore.Location
	// KMSKeyARN is the customer key that readers and writers need; empty without one.
	KMSKeyARN string
}

// NewBucket creates a private bucket, or reads the existing one. It waits for nothing.
func NewBucket(ctx *pulumi.Context, name string, args *BucketArgs, opts ...pulumi.ResourceOption) (*Bucket, error) {
	if args == nil {
		args = &BucketArgs{}
	}
	full := args.WithDefaults()
	if err := full.Validate(); err != nil {
		return nil, fmt.Errorf("checking bucket %s: %w", name, err)
	}
	bucket := &Bucket{}
	if err := ctx.RegisterComponentResource(bucketToken, name, bucket, opts...); err != nil {
		return nil, fmt.Errorf("registering bucket %s: %w", name, err)
	}
	build := bucket.create
	if full.Existing != nil {
		build = bucket.adopt
	}
	if err := build(ctx, name, &full); err != nil {
		return nil, err
	}
	return bucket, ctx.RegisterResourceOutputs(bucket, pulumi.Map{"name": bucket.Name, "arn": bucket.ARN})
}

// bucketARN is known as soon as the name is, so that policies show in a preview; it still waits for the bucket.
func bucketARN(partition string, name pulumi.StringOutput) pulumi.StringOutput {
	return pulumi.Sprintf("arn:%s:s3:::%s", partition, name)
}

// adopt takes the existing bucket as it is.
func (b *Bucket) adopt(ctx *pulumi.Context, name string, args *BucketArgs) error {
	existing := args.Existing
	b.KMSKeyARN = existing.KMSKeyARN
	region := existing.Region
	if region == "" {
		region = args.Region
	}
	if existing.Endpoint != "" {
		if region == "" {
			region = defaultStoreRegion
		}
		b.Name, b.ARN = pulumi.String(existing.Name).ToStringOutput(), pulumi.String("").ToStringOutput()
	} else {
		read, err := s3.GetBucketV2(ctx, name, pulumi.ID(existing.Name), nil, pulumi.Parent(b))
		if err != nil {
			return fmt.Errorf("reading bucket %s: %w", existing.Name, err)
		}
		b.Name = read.ID().ToStringOutput()
		b.ARN = bucketARN(args.Partition, b.Name)
	}
	b.Location = objectstore.Location{
		Bucket: b.Name, Region: pulumi.String(region), Endpoint: existing.Endpoint, Insecure: existing.Insecure,
		CredentialsSecret: existing.CredentialsSecret,
	}
	return nil
}

// create makes the bucket and everything that guards it.
func (b *Bucket) create(ctx *pulumi.Context, name string, args *BucketArgs) error {
	created, err := s3.NewBucketV2(ctx, name, &s3.BucketV2Args{
		Bucket:       pulumi.String(args.Name),
		ForceDestroy: pulumi.Bool(args.ForceDestroy),
	}, pulumi.Parent(b), pulumi.Protect(args.Protect),
		// Another name would replace the bucket and leave the data behind.
		pulumi.IgnoreChanges([]string{"bucket"}))
	if err != nil {
		return fmt.Errorf("creating bucket %s: %w", args.Name, err)
	}
	b.Name = created.Bucket
	b.ARN = bucketARN(args.Partition, b.Name)
	b.KMSKeyARN = args.KMSKeyARN
	b.Location = objectstore.Location{Bucket: b.Name, Region: pulumi.String(args.Region)}
	if err := b.guard(ctx, name); err != nil {
		return err
	}
	if err := b.encrypt(ctx, name); err != nil {
		return err
	}
	return b.keep(ctx, name, args)
}

// guard closes the bucket to the public, to ACLs and to plain HTTP.
func (b *Bucket) guard(ctx *pulumi.Context, name string) error {
	block, err := s3.NewBucketPublicAccessBlock(ctx, name+"-private", &s3.BucketPublicAccessBlockArgs{
		Bucket:                b.Name,
		BlockPublicAcls:       pulumi.Bool(true),
		BlockPublicPolicy:     pulumi.Bool(true),
		IgnorePublicAcls:      pulumi.Bool(true),
		RestrictPublicBuckets: pulumi.Bool(true),
	}, pulumi.Parent(b))
	if err != nil {
		return fmt.Errorf("blocking public access to bucket %s: %w", name, err)
	}
	if _, err := s3.NewBucketOwnershipControls(ctx, name+"-ownership", &s3.BucketOwnershipControlsArgs{
		Bucket: b.Name,
		Rule:   &s3.BucketOwnershipControlsRuleArgs{ObjectOwnership: pulumi.String("BucketOwnerEnforced")},
	}, pulumi.Parent(b)); err != nil {
		return fmt.Errorf("owning the objects of bucket %s: %w", name, err)
	}
	if _, err := s3.NewBucketPolicy(ctx, name+"-tls", &s3.BucketPolicyArgs{Bucket: b.Name, Policy: tlsOnly(b.ARN)}, pulumi.Parent(b),
		// S3 refuses one of two such changes to a bucket at the same moment (OperationAborted).
		pulumi.DependsOn([]pulumi.Resource{block})); err != nil {
		return fmt.Errorf("requiring TLS for bucket %s: %w", name, err)
	}
	return nil
}

// tlsOnly denies every request that is not encrypted. The wide action and principal are those of a denial: they grant nothing.
func tlsOnly(arn pulumi.StringOutput) pulumi.StringOutput {
	return arn.ApplyT(func(arn string) (string, error) {
		return policyDocument{Statement: []policyStatement{{
			Sid: "TLSOnly", Effect: "Deny", Principal: &policyPrincipal{AWS: "*"}, Action: []string{"s3:*"}, Resource: []string{arn, arn + "/*"},
			Condition: policyConditions{"Bool": {"aws:SecureTransport": "false"}},
		}}}.render()
	}).(pulumi.StringOutput)
}

func (b *Bucket) encrypt(ctx *pulumi.Context, name string) error {
	rule := &s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
		ApplyServerSideEncryptionByDefault: &s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
			SseAlgorithm: pulumi.String("AES256"),
		},
	}
	if b.KMSKeyARN != "" {
		rule = &s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
			ApplyServerSideEncryptionByDefault: &s3.BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
				SseAlgorithm: pulumi.String("aws:kms"), KmsMasterKeyId: pulumi.String(b.KMSKeyARN),
			},
			BucketKeyEnabled: pulumi.Bool(true), // one call to KMS for many objects
		}
	}
	_, err := s3.NewBucketServerSideEncryptionConfigurationV2(ctx, name+"-encryption", &s3.BucketServerSideEncryptionConfigurationV2Args{
		Bucket: b.Name, Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{rule},
	}, pulumi.Parent(b))
	if err != nil {
		return fmt.Errorf("encrypting bucket %s: %w", name, err)
	}
	return nil
}

// keep decides how long the bucket keeps what: versioning, and the one lifecycle configuration that S3 knows per bucket.
func (b *Bucket) keep(ctx *pulumi.Context, name string, args *BucketArgs) error {
	var wait []pulumi.Resource
	if args.Versioning { // without this resource versioning is off; removing it suspends versioning
		versioning, err := s3.NewBucketVersioningV2(ctx, name+"-versioning", &s3.BucketVersioningV2Args{
			Bucket:                  b.Name,
			VersioningConfiguration: &s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
		}, pulumi.Parent(b))
		if err != nil {
			return fmt.Errorf("versioning bucket %s: %w", name, err)
		}
		wait = append(wait, versioning)
	}
	_, err := s3.NewBucketLifecycleConfigurationV2(ctx, name+"-lifecycle", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: b.Name, Rules: lifecycleRules(args.BucketSettings),
	}, pulumi.Parent(b), pulumi.DependsOn(wait))
	if err != nil {
		return fmt.Errorf("creating the lifecycle of bucket %s: %w", name, err)
	}
	return nil
}

func lifecycleRules(s BucketSettings) s3.BucketLifecycleConfigurationV2RuleArray {
	enabled, everything := pulumi.String("Enabled"), &s3.BucketLifecycleConfigurationV2RuleFilterArgs{}
	rules := s3.BucketLifecycleConfigurationV2RuleArray{&s3.BucketLifecycleConfigurationV2RuleArgs{
		Id: pulumi.String("clean-up"), Status: enabled, Filter: everything,
		AbortIncompleteMultipartUpload: &s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
			DaysAfterInitiation: pulumi.Int(s.AbortMultipartDays),
		},
		// Harmless without versions, and needed for what is left when versioning is switched off.
		NoncurrentVersionExpiration: &s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
			NoncurrentDays: pulumi.Int(s.NoncurrentDays),
		},
		Expiration: &s3.BucketLifecycleConfigurationV2RuleExpirationArgs{ExpiredObjectDeleteMarker: pulumi.Bool(true)},
	}}
	if s.ExpireDays > 0 {
		filter := everything
		if s.ExpirePrefix != "" {
			filter = &s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String(s.ExpirePrefix)}
		}
		rules = append(rules, &s3.BucketLifecycleConfigurationV2RuleArgs{
			Id: pulumi.String("expire"), Status: enabled, Filter: filter,
			Expiration: &s3.BucketLifecycleConfigurationV2RuleExpirationArgs{Days: pulumi.Int(s.ExpireDays)},
		})
	}
	if len(s.Transitions) == 0 {
		return rules
	}
	var moves s3.BucketLifecycleConfigurationV2RuleTransitionArray
	for _, t := range s.Transitions {
		moves = append(moves, &s3.BucketLifecycleConfigurationV2RuleTransitionArgs{
			StorageClass: pulumi.String(t.StorageClass), Days: pulumi.Int(t.Days),
		})
	}
	return append(rules, &s3.BucketLifecycleConfigurationV2RuleArgs{
		Id: pulumi.String("transition"), Status: enabled, Filter: everything, Transitions: moves,
	})
}
