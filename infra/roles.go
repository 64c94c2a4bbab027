package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/check"
)

// workloadRoleToken is part of every child's URN and must never change: a new one would replace the role.
const workloadRoleToken = "kansoku:infra:WorkloadRole"

// tokenAudience is the "aud" claim of the tokens that EKS mounts for IAM.
const tokenAudience = "sts.amazonaws.com"

var (
	// An action in full: a wildcard would grant what nobody has read.
	actionPattern        = regexp.MustCompile(`^[a-z0-9-]+:[0-9A-Za-z]+$`)
	sidPattern           = regexp.MustCompile(`^[0-9A-Za-z]+$`)
	managedPolicyPattern = regexp.MustCompile(`^[\w+=,.@-]+(/[\w+=,.@-]+)*$`)
	// With a prefix for keys of several values, and a suffix for keys that may be missing.
	operatorPattern = regexp.MustCompile(`^((ForAllValues|ForAnyValue):)?[A-Za-z]+$`)
)

// Issuer is a cluster's OIDC provider as IAM knows it.
type Issuer struct {
	// ARN of the provider.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// URL of the issuer without https://.
	URL pulumi.StringOutput `pulumi:"url"`
}

// Statement allows actions on resources.
type Statement struct {
	// Sid names the statement: letters and digits, unique within a role. Required.
	Sid string `pulumi:"sid"`
	// Actions in full ("s3:GetObject"). Required; wildcards are refused.
	Actions []string `pulumi:"actions"`
	// Resources are ARNs, or "*" with a Reason. Required.
	Resources []pulumi.StringInput `pulumi:"resources"`
	// Conditions are operator → key → values, any of which will do ("StringEquals": {"aws:RequestedRegion": {"eu-west-1"}}).
	// Default: none.
	Conditions map[string]map[string][]string `pulumi:"conditions,optional"`
	// Reason why the statement is for every resource. Required with the resource "*"; it is for readers, not for AWS.
	Reason string `pulumi:"reason,optional"`
}

// everyResource is for actions that know no resources.
const everyResource = "*"

// BucketStatements allows that access to the bucket, and use of its key where it has one. Nothing for no access, or for a bucket behind
// an endpoint, which no role of AWS opens.
func BucketStatements(bucket *Bucket, access objectstore.Access) []Statement {
	if bucket == nil || bucket.Location.Endpoint != "" {
		return nil
	}
	objects, key := []string{"s3:GetObject"}, []string{"kms:Decrypt"}
	switch access {
	case objectstore.Read:
	case objectstore.Write:
		objects = append(objects, "s3:PutObject", "s3:AbortMultipartUpload")
		key = append(key, "kms:GenerateDataKey")
	case objectstore.Manage:
		objects = append(objects, "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject")
		key = append(key, "kms:GenerateDataKey")
	default:
		return nil
	}
	statements := []Statement{
		// Without it a missing key answers 403 instead of 404, and uploads fail.
		{Sid: "Bucket", Actions: []string{"s3:ListBucket"}, Resources: []pulumi.StringInput{bucket.ARN}},
		{Sid: "Objects", Actions: objects, Resources: []pulumi.StringInput{pulumi.Sprintf("%s/*", bucket.ARN)}},
	}
	return append(statements, keyStatement("BucketKey", bucket.KMSKeyARN, key)...)
}

// IndexStatements allows what Loki does with its index: it only ever adds rows and queries them.
func IndexStatements(table *Table) []Statement {
	if table == nil || table.Endpoint != "" {
		return nil
	}
	statements := []Statement{{
		Sid: "Index", Actions: []string{"dynamodb:BatchWriteItem", "dynamodb:Query"}, Resources: []pulumi.StringInput{table.ARN},
	}}
	return append(statements, keyStatement("IndexKey", table.KMSKeyARN, []string{"kms:Decrypt", "kms:GenerateDataKey"})...)
}

// PeriodicIndexStatements allows the same on tables of somebody else's, whose names begin with a prefix.
func PeriodicIndexStatements(prefixes []string, partition, region, accountID string) []Statement {
	var tables []pulumi.StringInput
	for _, prefix := range prefixes {
		tables = append(tables, pulumi.String(fmt.Sprintf("arn:%s:dynamodb:%s:%s:table/%s*", partition, region, accountID, prefix)))
	}
	if len(tables) == 0 {
		return nil
	}
	return []Statement{{Sid: "OldIndex", Actions: []string{"dynamodb:BatchWriteItem", "dynamodb:Query"}, Resources: tables}}
}

// AutoscalerStatements allows cluster-autoscaler to find the cluster's auto scaling groups, to resize them and to end their instances.
// Which groups are the cluster's is told by the tags that EKS puts on those of managed node groups, and by which the autoscaler finds
// them. What it asks for groups with launch configurations or attribute-based instance types is left out: managed node groups have
// neither.
func AutoscalerStatements(clusterName, partition, region, accountID string) []Statement {
	arn := func(service, resource string) []pulumi.StringInput {
		return []pulumi.StringInput{pulumi.String(fmt.Sprintf("arn:%s:%s:%s:%s:%s", partition, service, region, accountID, resource))}
	}
	const tag = "aws:ResourceTag/k8s.io/cluster-autoscaler/"
	return []Statement{
		{
			Sid: "Describe",
			Actions: []string{
				"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities",
				"ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions",
			},
			Resources: []pulumi.StringInput{pulumi.String(everyResource)},
			Reason:    "these calls take no resource",
		},
		{
			// Labels and taints of a group that has no node yet.
			Sid: "NodeGroups", Actions: []string{"eks:DescribeNodegroup"}, Resources: arn("eks", "nodegroup/"+clusterName+"/*/*"),
		},
		{
			Sid:       "Scale",
			Actions:   []string{"autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"},
			Resources: arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*"),
			Conditions: map[string]map[string][]string{
				"StringEquals": {tag + "enabled": {"true"}, tag + clusterName: {"owned"}},
			},
		},
	}
}

// keyStatement allows use of a customer key; nothing without one.
func keyStatement(sid, arn string, actions []string) []Statement {
	if arn == "" {
		return nil
	}
	return []Statement{{Sid: sid, Actions: actions, Resources: []pulumi.StringInput{pulumi.String(arn)}}}
}

// WorkloadRoleArgs says who may do what.
type WorkloadRoleArgs struct {
	// Issuer of the cluster's tokens. Required.
	Issuer Issuer `pulumi:"issuer"`
	// ServiceAccount is the one account that may take the role. Required.
	ServiceAccount kube.ServiceAccount `pulumi:"serviceAccount"`
	// Statements of the role's own policy. Required unless there are managed policies.
	Statements []Statement `pulumi:"statements,optional"`
	// ManagedPolicies are AWS' own, by their names below arn:PARTITION:iam::aws:policy/ ("service-role/AmazonEBSCSIDriverPolicy").
	// Default: none.
	ManagedPolicies []string `pulumi:"managedPolicies,optional"`
	// Partition of AWS. Default: aws.
	Partition string `pulumi:"partition,optional"`
}

// WithDefaults fills in what is left out.
func (a WorkloadRoleArgs) WithDefaults() WorkloadRoleArgs {
	if a.Partition == "" {
		a.Partition = defaultPartition
	}
	return a
}

// Validate reports every violation.
func (a WorkloadRoleArgs) Validate() error {
	var e check.Errors
	e.Require(a.Issuer.ARN.OutputState != nil && a.Issuer.URL.OutputState != nil, "issuer", nil, "must be the ARN and URL of an OIDC provider")
	account := a.ServiceAccount
	e.Require(kube.IsDNSLabel(account.Namespace), "serviceAccount.namespace", account.Namespace, "must be the name of a namespace")
	e.Require(kube.IsDNSLabel(account.Name), "serviceAccount.name", account.Name, "must be the name of a service account")
	e.Require(partitionPattern.MatchString(a.Partition), "partition", a.Partition, `must be a partition of AWS, such as "aws"`)
	e.Require(len(a.Statements)+len(a.ManagedPolicies) > 0, "statements", nil,
		"must not be empty without managed policies: the role would allow nothing")
	var sids []string
	for i, s := range a.Statements {
		key := fmt.Sprintf("statements[%d].", i)
		e.Require(sidPattern.MatchString(s.Sid), key+"sid", s.Sid, "must be letters and digits")
		e.Require(!slices.Contains(sids, s.Sid), key+"sid", s.Sid, "must be unique in the role")
		e.Require(len(s.Actions) > 0, key+"actions", s.Actions, "must not be empty")
		for _, action := range s.Actions {
			e.Require(actionPattern.MatchString(action), key+"actions", action, `must be an action in full, such as "s3:GetObject"`)
		}
		e.Require(len(s.Resources) > 0 && !slices.Contains(s.Resources, nil), key+"resources", len(s.Resources), "must be ARNs, at least one")
		e.Require(strings.TrimSpace(s.Reason) != "" || !slices.Contains(s.Resources, pulumi.StringInput(pulumi.String(everyResource))),
			key+"reason", s.Reason, `must say why the statement is for "*"`)
		validateConditions(&e, key+"conditions", s.Conditions)
		sids = append(sids, s.Sid)
	}
	for i, policy := range a.ManagedPolicies {
		key := fmt.Sprintf("managedPolicies[%d]", i)
		e.Require(managedPolicyPattern.MatchString(policy), key, policy, "must be a policy's name below arn:%s:iam::aws:policy/", a.Partition)
		e.Require(!slices.Contains(a.ManagedPolicies[:i], policy), key, policy, "must be listed once")
	}
	return e.Err()
}

// validateConditions refuses conditions that would hold for everything, or for nothing.
func validateConditions(e *check.Errors, path string, conditions map[string]map[string][]string) {
	for _, operator := range slices.Sorted(maps.Keys(conditions)) {
		keys := conditions[operator]
		e.Require(operatorPattern.MatchString(operator), path, operator, `must have operators such as "StringEquals"`)
		e.Require(len(keys) > 0, path+"."+operator, keys, "must have a key")
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			e.Require(key != "" && len(keys[key]) > 0 && !slices.Contains(keys[key], ""), path+"."+operator, key,
				"must have keys with values, none of them empty")
		}
	}
}

// WorkloadRole is the IAM role of one workload.
type WorkloadRole struct {
	pulumi.ResourceState

	// ARN of the role.
	ARN pulumi.StringOutput `pulumi:"arn"`
	// Policies are what gives the role its permissions: whatever acts on AWS in its first second, or until its last, depends on them.
	Policies []pulumi.Resource
}

// NewWorkloadRole creates a role that one service account of one cluster can take. The role waits for the issuer only, its policy for
// what it names.
func NewWorkloadRole(ctx *pulumi.Context, name string, args *WorkloadRoleArgs, opts ...pulumi.ResourceOption) (*WorkloadRole, error) {
	if args == nil {
		args = &WorkloadRoleArgs{}
	}
	full := args.WithDefaults()
	if err := full.Validate(); err != nil {
		return nil, fmt.Errorf("checking role %s: %w", name, err)
	}
	role := &WorkloadRole{}
	if err := ctx.RegisterComponentResource(workloadRoleToken, name, role, opts...); err != nil {
		return nil, fmt.Errorf("registering role %s: %w", name, err)
	}
	created, err := iam.NewRole(ctx, name, &iam.RoleArgs{
		Description:      pulumi.String("Kubernetes service account " + full.ServiceAccount.Namespace + "/" + full.ServiceAccount.Name),
		AssumeRolePolicy: trustPolicy(full.Issuer, full.ServiceAccount),
	}, pulumi.Parent(role))
	if err != nil {
		return nil, fmt.Errorf("creating role %s: %w", name, err)
	}
	role.ARN = created.Arn
	if len(full.Statements) > 0 {
		policy, err := iam.NewRolePolicy(ctx, name+"-policy", &iam.RolePolicyArgs{
			Role: created.Name, Policy: allow(full.Statements),
		}, pulumi.Parent(role))
		if err != nil {
			return nil, fmt.Errorf("creating the policy of role %s: %w", name, err)
		}
		role.Policies = append(role.Policies, policy)
	}
	for _, managed := range full.ManagedPolicies {
		attachment, err := iam.NewRolePolicyAttachment(ctx, name+"-"+path.Base(managed), &iam.RolePolicyAttachmentArgs{
			Role: created.Name, PolicyArn: pulumi.String(fmt.Sprintf("arn:%s:iam::aws:policy/%s", full.Partition, managed)),
		}, pulumi.Parent(role))
		if err != nil {
			return nil, fmt.Errorf("attaching %s to role %s: %w", managed, name, err)
		}
		role.Policies = append(role.Policies, attachment)
	}
	return role, ctx.RegisterResourceOutputs(role, pulumi.Map{"arn": role.ARN})
}

// trustPolicy lets the one service account take the role, with a token made for AWS.
func trustPolicy(issuer Issuer, account kube.ServiceAccount) pulumi.StringOutput {
	return pulumi.All(issuer.ARN, issuer.URL).ApplyT(func(known []any) (string, error) {
		url := strings.TrimPrefix(known[1].(string), "https://") // as IAM gives it back, depending on how it was made
		return policyDocument{Statement: []policyStatement{{
			Effect: "Allow", Principal: &policyPrincipal{Federated: known[0].(string)}, Action: []string{"sts:AssumeRoleWithWebIdentity"},
			Condition: policyConditions{"StringEquals": {url + ":aud": tokenAudience, url + ":sub": account.Subject()}},
		}}}.render()
	}).(pulumi.StringOutput)
}

// allow renders the statements; it waits for their resources.
func allow(statements []Statement) pulumi.StringOutput {
	var inputs []any
	for _, s := range statements {
		for _, resource := range s.Resources {
			inputs = append(inputs, resource)
		}
	}
	return pulumi.All(inputs...).ApplyT(func(known []any) (string, error) {
		var document policyDocument
		for _, s := range statements {
			statement := policyStatement{Sid: s.Sid, Effect: "Allow", Action: s.Actions, Condition: conditions(s.Conditions)}
			for range s.Resources {
				arn, _ := known[0].(string)
				known = known[1:]
				if !strings.HasPrefix(arn, "arn:") && (arn != everyResource || s.Reason == "") {
					return "", fmt.Errorf("rendering statement %s: a resource must be an ARN, got %q", s.Sid, arn)
				}
				statement.Resource = append(statement.Resource, arn)
			}
			document.Statement = append(document.Statement, statement)
		}
		return document.render()
	}).(pulumi.StringOutput)
}

// policyVersion is the version of IAM's policy language: the only one but its predecessor.
const policyVersion = "2012-10-17"

// policyDocument is an IAM policy. Rendered it is the same bytes every time: fields have an order, and maps are sorted.
type policyDocument struct {
	Version   string
	Statement []policyStatement
}

type policyStatement struct {
	Sid       string `json:",omitempty"`
	Effect    string
	Principal *policyPrincipal `json:",omitempty"`
	Action    []string
	Resource  []string         `json:",omitempty"`
	Condition policyConditions `json:",omitempty"`
}

type policyPrincipal struct {
	AWS       string `json:",omitempty"`
	Federated string `json:",omitempty"`
}

// policyConditions are operator → key → a value, or a list of values.
type policyConditions map[string]map[string]any

func conditions(given map[string]map[string][]string) policyConditions {
	if len(given) == 0 {
		return nil
	}
	rendered := policyConditions{}
	for operator, keys := range given {
		rendered[operator] = map[string]any{}
		for key, values := range keys {
			rendered[operator][key] = values
			if len(values) == 1 {
				rendered[operator][key] = values[0] // as AWS writes it
			}
		}
	}
	return rendered
}

func (d policyDocument) render() (string, error) {
	d.Version = policyVersion
	data, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("rendering a policy: %w", err)
	}
	return string(data), nil
}
