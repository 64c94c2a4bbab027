package offline

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// duration is how long the creation of one kind of resource takes, as somebody published it.
type duration struct {
	seconds float64
	source  string
}

// Where the durations come from: logs of real runs. They differ by region and day; what matters here is their proportion.
const (
	logApply    = "log of terraform apply, github.com/ignvb/devsu-devops-assessment IaC/Apply_output.md (2023-08, us-east-1)"
	logCluster  = "log of terraform apply, github.com/DevopsArtFactory/terraform-provisioning pull 47 (2024-10, ap-northeast-2); others: 8m13s to 10m44s"
	logNodes    = "log of terraform apply, github.com/DevopsArtFactory/terraform-provisioning pull 47 (2024-10, ap-northeast-2); others: 1m20s to 2m55s"
	logVPC      = "log of terraform apply, github.com/DevopsArtFactory/terraform-provisioning pull 7 (2024-10, ap-northeast-2)"
	logSubnet   = "log of terraform apply, github.com/terraform-aws-modules/terraform-aws-eks issue 2203"
	logAddons   = "log of terraform apply, EKS upgrade workshop with terraform-aws-modules/eks 20.37 (2026-04, us-west-2)"
	logTable    = "log of the remote-state example of the book Terraform: Up & Running; others: 5 to 17 s"
	logEndpoint = "logs of terraform apply with one aws_vpc_endpoint for S3: 6 to 7 s"
	assumedAWS  = "assumed: one or two calls"
	assumedK8s  = "assumed: one call"
	assumedPods = "assumed: as long as the Helm release of a small controller in " + logAddons
	assumedData = "assumed: as long as the Helm release of Argo CD in " + logAddons
)

// durations by kind.
var durations = map[string]duration{
	"vpc":              {22, logVPC},
	"public subnet":    {10, logSubnet},
	"private subnet":   {1, logVPC},
	"nat gateway":      {107, logApply},
	"security group":   {3, logApply},
	"gateway endpoint": {6, logEndpoint},
	"key":              {20, logApply},
	"table":            {8, logTable},
	"cluster":          {513, logCluster},
	"node group":       {119, logNodes},
	"add-on vpc-cni":   {65, logAddons},
	"add-on coredns":   {34, logAddons},
	"add-on ebs-csi":   {45, logAddons},
	"add-on":           {45, logAddons},
	"deployment":       {25, assumedPods},
	"daemon set":       {25, assumedPods},
	"stateful set":     {56, assumedData},
	"prometheus":       {56, assumedData},
	"aws":              {2, assumedAWS},
	"kubernetes":       {1, assumedK8s},
	"":                 {0, "made by the engine"},
}

// kinds by type token, where the type says enough.
var kinds = map[string]string{
	"aws:ec2/vpc:Vpc":                                     "vpc",
	"aws:ec2/natGateway:NatGateway":                       "nat gateway",
	"aws:ec2/securityGroup:SecurityGroup":                 "security group",
	"aws:ec2/vpcEndpoint:VpcEndpoint":                     "gateway endpoint",
	"aws:kms/key:Key":                                     "key",
	"aws:dynamodb/table:Table":                            "table",
	"aws:eks/cluster:Cluster":                             "cluster",
	"aws:eks/nodeGroup:NodeGroup":                         "node group",
	"kubernetes:apps/v1:Deployment":                       "deployment",
	"kubernetes:apps/v1:DaemonSet":                        "daemon set",
	"kubernetes:apps/v1:StatefulSet":                      "stateful set",
	"kubernetes:monitoring.coreos.com/v1:Prometheus":      "prometheus",
	"kubernetes:monitoring.coreos.com/v1:Alertmanager":    "prometheus",
	"kubernetes:monitoring.coreos.com/v1:ThanosRuler":     "prometheus",
	"aws:iam/openIdConnectProvider:OpenIdConnectProvider": "issuer",
}

// unavoidable is what a kind needs whatever the program: no order of creation goes without. Pods need a node, and volumes the driver;
// CoreDNS and the driver become active only on a node; a node in a private subnet joins only through the NAT gateway.
var unavoidable = map[string][]string{
	"public subnet":  {"vpc"},
	"private subnet": {"vpc"},
	"nat gateway":    {"public subnet"},
	"cluster":        {"private subnet", "key"},
	"node group":     {"cluster", "nat gateway"},
	"add-on vpc-cni": {"cluster"},
	"add-on":         {"cluster"},
	"add-on coredns": {"node group"},
	"add-on ebs-csi": {"node group"},
	"issuer":         {"cluster"},
	"kubernetes":     {"cluster"},
	"deployment":     {"node group"},
	"daemon set":     {"node group"},
	"stateful set":   {"add-on ebs-csi"},
	"prometheus":     {"add-on ebs-csi", "deployment"},
}

// kindOf sorts a resource of the state into a kind. What the program only reads takes no time.
func kindOf(one *apitype.ResourceV3) string {
	token := string(one.Type)
	switch {
	case !one.Custom || one.External || strings.HasPrefix(token, "pulumi:"):
		return ""
	case token == "aws:ec2/subnet:Subnet":
		if one.Inputs["mapPublicIpOnLaunch"] == true {
			return "public subnet"
		}
		return "private subnet"
	case token == "aws:eks/addon:Addon":
		switch one.Inputs["addonName"] {
		case "vpc-cni":
			return "add-on vpc-cni"
		case "coredns":
			return "add-on coredns"
		case "aws-ebs-csi-driver":
			return "add-on ebs-csi"
		}
		return "add-on"
	case kinds[token] != "":
		return kinds[token]
	case strings.HasPrefix(token, "aws:"):
		return "aws"
	case strings.HasPrefix(token, "kubernetes:"):
		return "kubernetes"
	}
	return ""
}

// takes is the duration of a kind.
func takes(kind string) duration {
	if found, ok := durations[kind]; ok {
		return found
	}
	return durations["aws"]
}
