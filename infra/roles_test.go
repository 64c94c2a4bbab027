package infra_test

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	roleType     = "aws:iam/role:Role"
	policyType   = "aws:iam/rolePolicy:RolePolicy"
	attachedType = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	issuerType   = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"

	issuerHost = "oidc.eks.ap-northeast-1.amazonaws.com/id/ABC"
	issuerARN  = "arn:aws:iam::123456789012:oidc-provider/" + issuerHost
)

var sidecar = kube.ServiceAccount{Namespace: "monitoring", Name: "prometheus-k8s"}

// newIssuer registers an OIDC provider, whose URL comes back as it was given.
func newIssuer(ctx *pulumi.Context) (infra.Issuer, error) {
	provider, err := iam.NewOpenIdConnectProvider(ctx, "issuer", &iam.OpenIdConnectProviderArgs{
		Url: pulumi.String("https://" + issuerHost), ClientIdLists: pulumi.ToStringArray([]string{"sts.amazonaws.com"}),
	})
	if err != nil {
		return infra.Issuer{}, err
	}
	return infra.Issuer{ARN: provider.Arn, URL: provider.Url}, nil
}

func iamRecorder() *mocks.Recorder {
	return &mocks.Recorder{Outputs: map[string]func(mocks.Resource) map[string]any{
		issuerType: func(mocks.Resource) map[string]any { return map[string]any{"arn": issuerARN} },
		roleType:   func(r mocks.Resource) map[string]any { return map[string]any{"name": r.Name + "-1234567"} },
	}}
}

func TestWorkloadRole(t *testing.T) {
	t.Parallel()
	r := iamRecorder()
	var arn string
	r.Run(t, func(ctx *pulumi.Context) error {
		issuer, err := newIssuer(ctx)
		if err != nil {
			return err
		}
		bucket, err := infra.NewBucket(ctx, "blocks", &infra.BucketArgs{DefaultName: "kansoku-blocks", Region: "ap-northeast-1"})
		if err != nil {
			return err
		}
		role, err := infra.NewWorkloadRole(ctx, "sidecar", &infra.WorkloadRoleArgs{
			Issuer: issuer, ServiceAccount: sidecar, Statements: infra.BucketStatements(bucket, objectstore.Write),
		})
		if err != nil {
			return err
		}
		assert.Len(t, role.Policies, 1)
		ctx.Export("arn", role.ARN.ApplyT(func(v string) string { arn = v; return v }))
		return nil
	})
	assert.Equal(t, "arn:aws:sidecar", arn)
	const component = "urn:pulumi:test::kansoku::kansoku:infra:WorkloadRole::sidecar"

	require.Len(t, r.OfType(roleType), 1)
	role := r.Get(t, roleType, "sidecar")
	assert.Equal(t, component, role.Parent)
	assert.Equal(t, map[string]any{
		"description": "Kubernetes service account monitoring/prometheus-k8s",
		"assumeRolePolicy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + issuerARN + `"},` +
			`"Action":["sts:AssumeRoleWithWebIdentity"],"Condition":{"StringEquals":{"` + issuerHost + `:aud":"sts.amazonaws.com",` +
			`"` + issuerHost + `:sub":"system:serviceaccount:monitoring:prometheus-k8s"}}}]}`,
	}, role.Inputs)
	assert.Equal(t, []string{issuerType + "::issuer"}, waitsFor(role), "the role waits for the issuer only")

	require.Len(t, r.OfType(policyType), 1)
	policy := r.Get(t, policyType, "sidecar-policy")
	assert.Equal(t, component, policy.Parent)
	assert.Equal(t, map[string]any{
		"role": "sidecar-1234567",
		"policy": `{"Version":"2012-10-17","Statement":[` +
			`{"Sid":"Bucket","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::kansoku-blocks"]},` +
			`{"Sid":"Objects","Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:AbortMultipartUpload"],` +
			`"Resource":["arn:aws:s3:::kansoku-blocks/*"]}]}`,
	}, policy.Inputs)
	assert.Equal(t, []string{roleType + "::sidecar", bucketType + "::blocks"}, waitsFor(policy))
	assert.Empty(t, r.OfType(attachedType))
}

func TestManagedPoliciesAreAttached(t *testing.T) {
	t.Parallel()
	r := iamRecorder()
	r.Run(t, func(ctx *pulumi.Context) error {
		issuer, err := newIssuer(ctx)
		if err != nil {
			return err
		}
		role, err := infra.NewWorkloadRole(ctx, "ebs-csi", &infra.WorkloadRoleArgs{
			Issuer: issuer, ServiceAccount: kube.ServiceAccount{Namespace: "kube-system", Name: "ebs-csi-controller-sa"},
			ManagedPolicies: []string{"service-role/AmazonEBSCSIDriverPolicy"}, Partition: "aws-cn",
		})
		if err == nil {
			assert.Len(t, role.Policies, 1)
		}
		return err
	})
	attached := r.Get(t, attachedType, "ebs-csi-AmazonEBSCSIDriverPolicy")
	assert.Equal(t, map[string]any{
		"role": "ebs-csi-1234567", "policyArn": "arn:aws-cn:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
	}, attached.Inputs)
	assert.Equal(t, "urn:pulumi:test::kansoku::kansoku:infra:WorkloadRole::ebs-csi", attached.Parent)
	assert.Empty(t, r.OfType(policyType))
}

// granted is a statement with its resources known.
type granted struct {
	Sid       string
	Actions   []string
	Resources []string
}

func resolve(ctx *pulumi.Context, into *[]granted, statements []infra.Statement) {
	for i, s := range statements {
		*into = append(*into, granted{Sid: s.Sid, Actions: s.Actions})
		ctx.Export(s.Sid, pulumi.StringArray(s.Resources).ToStringArrayOutput().ApplyT(func(arns []string) []string {
			(*into)[i].Resources = arns
			return arns
		}))
	}
}

func TestBucketStatements(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:s3:::kansoku-blocks"
	read := []string{"s3:GetObject"}
	write := []string{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}
	manage := []string{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"}
	list := granted{"Bucket", []string{"s3:ListBucket"}, []string{arn}}
	objects := func(actions ...string) granted { return granted{"Objects", actions, []string{arn + "/*"}} }
	key := func(actions ...string) granted { return granted{"BucketKey", actions, []string{keyARN}} }
	for name, test := range map[string]struct {
		access objectstore.Access
		key    string
		want   []granted
	}{
		"none":        {"", keyARN, nil},
		"unknown":     {"admin", keyARN, nil},
		"read":        {objectstore.Read, "", []granted{list, objects(read...)}},
		"read, key":   {objectstore.Read, keyARN, []granted{list, objects(read...), key("kms:Decrypt")}},
		"write":       {objectstore.Write, "", []granted{list, objects(write...)}},
		"write, key":  {objectstore.Write, keyARN, []granted{list, objects(write...), key("kms:Decrypt", "kms:GenerateDataKey")}},
		"manage":      {objectstore.Manage, "", []granted{list, objects(manage...)}},
		"manage, key": {objectstore.Manage, keyARN, []granted{list, objects(manage...), key("kms:Decrypt", "kms:GenerateDataKey")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []granted
			(&mocks.Recorder{}).Run(t, func(ctx *pulumi.Context) error {
				bucket, err := infra.NewBucket(ctx, "blocks", &infra.BucketArgs{
					BucketSettings: infra.BucketSettings{KMSKeyARN: test.key}, DefaultName: "kansoku-blocks", Region: "ap-northeast-1",
				})
				if err == nil {
					resolve(ctx, &got, infra.BucketStatements(bucket, test.access))
				}
				return err
			})
			assert.Equal(t, test.want, got)
		})
	}
}

func TestNoStatementsForABucketElsewhere(t *testing.T) {
	t.Parallel()
	(&mocks.Recorder{}).Run(t, func(ctx *pulumi.Context) error {
		bucket, err := infra.NewBucket(ctx, "blocks", &infra.BucketArgs{BucketSettings: infra.BucketSettings{
			Existing: &infra.ExistingBucket{Name: "blocks", Endpoint: "minio:9000"},
		}})
		assert.Empty(t, infra.BucketStatements(bucket, objectstore.Manage))
		return err
	})
	assert.Empty(t, infra.BucketStatements(nil, objectstore.Read))
	assert.Empty(t, infra.IndexStatements(nil))
}

func TestIndexStatements(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:dynamodb:ap-northeast-1:123456789012:table/kansoku-index"
	index := granted{"Index", []string{"dynamodb:BatchWriteItem", "dynamodb:Query"}, []string{arn}}
	for key, want := range map[string][]granted{
		"":     {index},
		keyARN: {index, {"IndexKey", []string{"kms:Decrypt", "kms:GenerateDataKey"}, []string{keyARN}}},
	} {
		var got []granted
		(&mocks.Recorder{}).Run(t, func(ctx *pulumi.Context) error {
			table, err := infra.NewTable(ctx, "index", &infra.TableArgs{
				TableSettings: infra.TableSettings{KMSKeyARN: key}, DefaultName: "kansoku-index", Region: "ap-northeast-1", AccountID: "123456789012",
			})
			if err == nil {
				resolve(ctx, &got, infra.IndexStatements(table))
			}
			return err
		})
		assert.Equal(t, want, got)
	}
}

func TestPolicyOfBucketAndIndex(t *testing.T) {
	t.Parallel()
	r := iamRecorder()
	r.Run(t, func(ctx *pulumi.Context) error {
		issuer, err := newIssuer(ctx)
		if err != nil {
			return err
		}
		bucket, err := infra.NewBucket(ctx, "chunks", &infra.BucketArgs{
			BucketSettings: infra.BucketSettings{KMSKeyARN: keyARN}, DefaultName: "kansoku-chunks", Region: "ap-northeast-1",
		})
		if err != nil {
			return err
		}
		table, err := infra.NewTable(ctx, "index", &infra.TableArgs{DefaultName: "kansoku-index"})
		if err != nil {
			return err
		}
		_, err = infra.NewWorkloadRole(ctx, "loki", &infra.WorkloadRoleArgs{
			Issuer: issuer, ServiceAccount: kube.ServiceAccount{Namespace: "logging", Name: "loki"},
			Statements: append(infra.BucketStatements(bucket, objectstore.Read), infra.IndexStatements(table)...),
		})
		return err
	})
	policy := r.Get(t, policyType, "loki-policy")
	assert.Equal(t, []string{tableType + "::index", roleType + "::loki", bucketType + "::chunks"}, waitsFor(policy))
	assert.Equal(t, []string{issuerType + "::issuer"}, waitsFor(r.Get(t, roleType, "loki")))
	assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Bucket","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::kansoku-chunks"]},
		{"Sid":"Objects","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::kansoku-chunks/*"]},
		{"Sid":"BucketKey","Effect":"Allow","Action":["kms:Decrypt"],"Resource":["`+keyARN+`"]},
		{"Sid":"Index","Effect":"Allow","Action":["dynamodb:BatchWriteItem","dynamodb:Query"],"Resource":["arn:aws:index"]}]}`,
		policy.Inputs["policy"].(string))
}

func arns(names ...string) []pulumi.StringInput {
	var inputs []pulumi.StringInput
	for _, name := range names {
		inputs = append(inputs, pulumi.String(name))
	}
	return inputs
}

func validRole() infra.WorkloadRoleArgs {
	return infra.WorkloadRoleArgs{
		Issuer:         infra.Issuer{ARN: pulumi.String(issuerARN).ToStringOutput(), URL: pulumi.String(issuerHost).ToStringOutput()},
		ServiceAccount: sidecar,
		Statements:     []infra.Statement{{Sid: "Read", Actions: []string{"s3:GetObject"}, Resources: arns("arn:aws:s3:::b/*")}},
	}.WithDefaults()
}

func TestWorkloadRoleValidation(t *testing.T) {
	t.Parallel()
	require.NoError(t, validRole().Validate())
	for name, test := range map[string]struct {
		change func(*infra.WorkloadRoleArgs)
		want   string
	}{
		"issuer": {
			func(a *infra.WorkloadRoleArgs) { a.Issuer = infra.Issuer{} },
			`issuer: must be the ARN and URL of an OIDC provider, got null`,
		},
		"subject": {
			func(a *infra.WorkloadRoleArgs) {
				a.ServiceAccount = kube.ServiceAccount{Namespace: "*", Name: "loki:x"}
			},
			`serviceAccount.namespace: must be the name of a namespace, got "*"
serviceAccount.name: must be the name of a service account, got "loki:x"`,
		},
		"partition": {
			func(a *infra.WorkloadRoleArgs) { a.Partition = "azure" },
			`partition: must be a partition of AWS, such as "aws", got "azure"`,
		},
		"nothing": {
			func(a *infra.WorkloadRoleArgs) { a.Statements = nil },
			`statements: must not be empty without managed policies: the role would allow nothing, got null`,
		},
		"statements": {
			func(a *infra.WorkloadRoleArgs) {
				a.Statements = append(
					a.Statements,
					infra.Statement{Sid: "Read", Actions: []string{"s3:*", "*", "s3:Get*"}, Resources: []pulumi.StringInput{nil}},
					infra.Statement{Sid: "a b"},
				)
			},
			`statements[1].sid: must be unique in the role, got "Read"
statements[1].actions: must be an action in full, such as "s3:GetObject", got "s3:*"
statements[1].actions: must be an action in full, such as "s3:GetObject", got "*"
statements[1].actions: must be an action in full, such as "s3:GetObject", got "s3:Get*"
statements[1].resources: must be ARNs, at least one, got 1
statements[2].sid: must be letters and digits, got "a b"
statements[2].actions: must not be empty, got null
statements[2].resources: must be ARNs, at least one, got 0`,
		},
		"every resource": {
			func(a *infra.WorkloadRoleArgs) {
				a.Statements = []infra.Statement{
					{Sid: "A", Actions: []string{"ec2:DescribeImages"}, Resources: arns("arn:aws:x", "*")},
					{Sid: "B", Actions: []string{"ec2:DescribeImages"}, Resources: arns("*"), Reason: " "},
					{Sid: "C", Actions: []string{"ec2:DescribeImages"}, Resources: arns("*"), Reason: "it takes no resource"},
				}
			},
			`statements[0].reason: must say why the statement is for "*", got ""
statements[1].reason: must say why the statement is for "*", got " "`,
		},
		"conditions": {
			func(a *infra.WorkloadRoleArgs) {
				a.Statements[0].Conditions = map[string]map[string][]string{
					"Bool":                     nil,
					"ForAnyValue:StringEquals": {"a": {"b", "c"}},
					"StringEquals":             {"": {"x"}, "none": nil, "empty": {"x", ""}, "good": {"x"}},
					"string equals":            {"a": {"b"}},
				}
			},
			`statements[0].conditions.Bool: must have a key, got null
statements[0].conditions.StringEquals: must have keys with values, none of them empty, got ""
statements[0].conditions.StringEquals: must have keys with values, none of them empty, got "empty"
statements[0].conditions.StringEquals: must have keys with values, none of them empty, got "none"
statements[0].conditions: must have operators such as "StringEquals", got "string equals"`,
		},
		"managed policies": {
			func(a *infra.WorkloadRoleArgs) { a.ManagedPolicies = []string{"arn:aws:iam::aws:policy/X", "Y", "Y"} },
			`managedPolicies[0]: must be a policy's name below arn:aws:iam::aws:policy/, got "arn:aws:iam::aws:policy/X"
managedPolicies[2]: must be listed once, got "Y"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := validRole()
			test.change(&args)
			require.EqualError(t, args.Validate(), test.want)
		})
	}
}

func TestRoleRefusesBeforeRegistering(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := infra.NewWorkloadRole(ctx, "sidecar", nil)
		return err
	})
	require.ErrorContains(t, err, "checking role sidecar: issuer: must be the ARN and URL of an OIDC provider, got null")
	assert.Empty(t, r.All())
}

func TestEveryResourceIsRefused(t *testing.T) {
	t.Parallel()
	err := iamRecorder().RunErr(func(ctx *pulumi.Context) error {
		args := validRole()
		args.Issuer = infra.Issuer{ARN: pulumi.String(issuerARN).ToStringOutput(), URL: pulumi.String(issuerHost).ToStringOutput()}
		args.Statements[0].Resources = []pulumi.StringInput{pulumi.String("*").ToStringOutput()} // not known when it is validated
		_, err := infra.NewWorkloadRole(ctx, "sidecar", &args)
		return err
	})
	require.ErrorContains(t, err, `rendering statement Read: a resource must be an ARN, got "*"`)
}

// policyOf creates a role with the statements and returns its policy.
func policyOf(t *testing.T, statements []infra.Statement) string {
	t.Helper()
	r := iamRecorder()
	r.Run(t, func(ctx *pulumi.Context) error {
		args := validRole()
		args.Statements = statements
		_, err := infra.NewWorkloadRole(ctx, "role", &args)
		return err
	})
	return r.Get(t, policyType, "role-policy").Inputs["policy"].(string)
}

func TestConditionsAreRendered(t *testing.T) {
	t.Parallel()
	assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::b/*"],`+
		`"Condition":{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:PrincipalTag/a":"b","aws:RequestedRegion":["r1","r2"]}}}]}`,
		policyOf(t, []infra.Statement{{
			Sid: "A", Actions: []string{"s3:GetObject"}, Resources: arns("arn:aws:s3:::b/*"), Conditions: map[string]map[string][]string{
				"StringEquals": {"aws:RequestedRegion": {"r1", "r2"}, "aws:PrincipalTag/a": {"b"}}, "Bool": {"aws:SecureTransport": {"true"}},
			},
		}}))
}

func TestAutoscalerStatements(t *testing.T) {
	t.Parallel()
	statements := infra.AutoscalerStatements("prod", "aws-cn", "cn-north-1", "123456789012")
	assert.Equal(t, "these calls take no resource", statements[0].Reason)
	assert.JSONEq(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Describe","Effect":"Allow","Resource":["*"],"Action":["autoscaling:DescribeAutoScalingGroups",
			"autoscaling:DescribeScalingActivities","ec2:DescribeInstanceTypes","ec2:DescribeLaunchTemplateVersions"]},
		{"Sid":"NodeGroups","Effect":"Allow","Action":["eks:DescribeNodegroup"],
			"Resource":["arn:aws-cn:eks:cn-north-1:123456789012:nodegroup/prod/*/*"]},
		{"Sid":"Scale","Effect":"Allow","Action":["autoscaling:SetDesiredCapacity","autoscaling:TerminateInstanceInAutoScalingGroup"],
			"Resource":["arn:aws-cn:autoscaling:cn-north-1:123456789012:autoScalingGroup:*:autoScalingGroupName/*"],
			"Condition":{"StringEquals":{"aws:ResourceTag/k8s.io/cluster-autoscaler/enabled":"true",
				"aws:ResourceTag/k8s.io/cluster-autoscaler/prod":"owned"}}}]}`, policyOf(t, statements))
}

func TestPoliciesAreDeterministic(t *testing.T) {
	t.Parallel()
	var before string
	for range 3 {
		r := iamRecorder()
		r.Run(t, func(ctx *pulumi.Context) error {
			args := validRole()
			_, err := infra.NewWorkloadRole(ctx, "sidecar", &args)
			return err
		})
		data, err := json.Marshal([]any{r.Get(t, roleType, "sidecar").Inputs, r.Get(t, policyType, "sidecar-policy").Inputs})
		require.NoError(t, err)
		if before != "" {
			assert.Equal(t, before, string(data))
		}
		before = string(data)
	}
}
