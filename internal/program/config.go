package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/check"
	"github.com/kansoku/kansoku/internal/cost"
)

// Config is a stack's whole configuration. Each field is one key below "kansoku:", AWS the keys below "aws:"; what a field holds, and
// its default, stands at its type.
type Config struct {
	// Name begins the name of everything that AWS names. Default: "<project>-<stack>". Never change it: buckets, table and cluster carry it.
	Name string `pulumi:"name,optional"`
	// Tags go on every AWS resource, beside Project and Stack. CostCenter is required on AWS.
	Tags map[string]string `pulumi:"tags,optional"`
	// Protect guards buckets, table, keys and cluster against deletion, and keeps volumes. Default: false.
	Protect bool `pulumi:"protect,optional"`
	// Network to create or to adopt. Required unless the cluster is an existing one.
	Network *infra.NetworkSettings `pulumi:"network,optional"`
	// Cluster to create or to adopt.
	Cluster infra.ClusterSettings `pulumi:"cluster,optional"`
	// Nodes of the cluster. Required for a new cluster; an existing one may bring its own.
	Nodes *infra.NodesSettings `pulumi:"nodes,optional"`
	// Blocks is the bucket of Thanos' metric blocks.
	Blocks infra.BucketSettings `pulumi:"blocks,optional"`
	// Chunks is the bucket of Loki's log chunks.
	Chunks infra.BucketSettings `pulumi:"chunks,optional"`
	// Index is the DynamoDB table of Loki's index.
	Index infra.TableSettings `pulumi:"index,optional"`
	// Monitoring is what runs in the cluster.
	Monitoring monitoring.Settings `pulumi:"monitoring,optional"`
	// Cost states the load for which `make cost` and every preview estimate what the stack costs. Nothing is deployed by it. Default: no
	// estimate.
	Cost *cost.Load `pulumi:"cost,optional"`
	// Kubeconfig of an existing cluster that is not read from AWS. A secret: `pulumi config set --secret kubeconfig`.
	Kubeconfig string `pulumi:"kubeconfig,optional"`
	// SlackURL is a Slack incoming webhook, for receivers with Slack (monitoring.alertmanager); `slackUrl-NAME`, as with the next three, is
	// that of the receiver NAME only. A secret. Default: none.
	SlackURL string `pulumi:"slackUrl,optional"`
	// WebhookURL takes messages as JSON, for receivers with a webhook. A secret. Default: none.
	WebhookURL string `pulumi:"webhookUrl,optional"`
	// PagerDutyKey is the integration key of a service (Events API v2), for receivers with PagerDuty. A secret. Default: none.
	PagerDutyKey string `pulumi:"pagerDutyKey,optional"`
	// OpsgenieKey is the key of an API integration, for receivers with Opsgenie. A secret. Default: none.
	OpsgenieKey string `pulumi:"opsgenieKey,optional"`
	// SMTPPassword goes with monitoring.alertmanager.smtp.username. A secret. Default: none.
	SMTPPassword string `pulumi:"smtpPassword,optional"`
	// WatchdogURL is a dead man's switch, called about every minute while alerting works. A secret. Default: none.
	WatchdogURL string `pulumi:"watchdogUrl,optional"`
	// GrafanaOAuthSecret is the client secret of the login that monitoring.grafana.auth names. A secret. Default: none.
	GrafanaOAuthSecret string `pulumi:"grafanaOAuthSecret,optional"`
	// RegistryCredentials are what monitoring.images.registry asks for, as the JSON of a Docker configuration ({"auths": …}). A secret.
	// Default: none, as for a registry that the nodes' role may read (ECR).
	RegistryCredentials string `pulumi:"registryCredentials,optional"`

	// ReceiverSecrets are those of single receivers, by key ("slackUrl-payments").
	ReceiverSecrets map[string]string `pulumi:"-"`
	// AWS is where the AWS resources go; without a region there are none.
	AWS AWS `pulumi:"-"`
}

// AWS are the keys of the "aws:" namespace that the program hands to its provider.
type AWS struct {
	// Region ("ap-northeast-1").
	Region string `pulumi:"region,optional"`
	// Profile of the AWS CLI's configuration, for Pulumi and in the kubeconfig. Default: the environment's credentials.
	Profile string `pulumi:"profile,optional"`
}

// costCenter is the tag without which a bill cannot be told apart.
const costCenter = "CostCenter"

var (
	region = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	// 28 is what S3's 63 leave beside "-blocks-", an account and the longest name of a region.
	baseName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,26}[a-z0-9]$`)
)

// source is where configuration comes from: a Pulumi context, or a test.
type source interface {
	GetConfig(key string) (string, bool)
}

// load reads the configuration strictly. keys are all keys that the stack sets, with their namespace; the error names every violation.
func load(from source, project, stack string, keys []string) (*Config, error) {
	var cfg Config
	var errs check.Errors
	cfg.ReceiverSecrets, keys = receiverSecrets(from, keys)
	decode(from, "kansoku", keys, &cfg, &errs)
	decode(from, "aws", keys, &cfg.AWS, &errs)
	refuseNamespaces(from, keys, &errs)
	if err := errs.Err(); err != nil {
		return nil, err // what could not be decoded would only be reported again as missing
	}
	if cfg.Name == "" {
		cfg.Name = project + "-" + stack
	}
	cfg.defaults()
	return &cfg, cfg.validate()
}

// refuseNamespaces reports the keys that nothing would read.
func refuseNamespaces(from source, keys []string, errs *check.Errors) {
	for _, key := range keys {
		namespace, _, _ := strings.Cut(key, ":")
		if !slices.Contains([]string{"kansoku", "aws", "pulumi"}, namespace) {
			errs.Require(false, key, value(from, key), "must not be set: the program reads the namespaces kansoku and aws only")
		}
	}
}

// defaults fills in every section. An absent network or node section stays absent.
func (c *Config) defaults() {
	if c.Network != nil {
		*c.Network = c.Network.WithDefaults()
	}
	if c.Nodes != nil {
		*c.Nodes = c.Nodes.WithDefaults()
	}
	c.Cluster = c.Cluster.WithDefaults()
	c.Blocks = c.Blocks.WithDefaults()
	c.Chunks = c.Chunks.WithDefaults()
	c.Index = c.Index.WithDefaults()
	c.Monitoring = c.Monitoring.WithDefaults()
	if c.Cost != nil {
		*c.Cost = c.Cost.WithDefaults()
	}
}

// receiverSecrets are the values of the keys that name a single receiver, and the other keys.
func receiverSecrets(from source, keys []string) (secrets map[string]string, others []string) {
	secrets = map[string]string{}
	for _, key := range keys {
		name, ours := strings.CutPrefix(key, "kansoku:")
		kind, _, single := strings.Cut(name, "-")
		if ours && single && slices.Contains(alertmanager.ReceiverSecrets(), kind) {
			secrets[name], _ = from.GetConfig(key)
			continue
		}
		others = append(others, key)
	}
	return secrets, others
}

// alertSecrets are what Alertmanager's receivers need, as far as it is set, by name.
func (c *Config) alertSecrets() map[string]string {
	all := maps.Clone(c.ReceiverSecrets)
	if all == nil {
		all = map[string]string{}
	}
	for name, value := range map[string]string{
		alertmanager.SlackURL: c.SlackURL, alertmanager.WebhookURL: c.WebhookURL, alertmanager.PagerDutyKey: c.PagerDutyKey,
		alertmanager.OpsgenieKey: c.OpsgenieKey, alertmanager.SMTPPassword: c.SMTPPassword, alertmanager.WatchdogURL: c.WatchdogURL,
	} {
		if value != "" {
			all[name] = value
		}
	}
	return all
}

// newCluster says whether the program creates the cluster.
func (c *Config) newCluster() bool { return c.Kubeconfig == "" && c.Cluster.Existing == nil }

// clusterName is the cluster's name in AWS.
func (c *Config) clusterName() string {
	if c.Cluster.Existing != nil && c.Cluster.Existing.Name != "" {
		return c.Cluster.Existing.Name
	}
	return c.Name
}

// needsIndex says whether some period of the logs' schema has its index in DynamoDB. A stack without logs keeps the table it may have had.
func (c *Config) needsIndex() bool {
	return c.Monitoring.Loki == nil || c.Monitoring.Loki.UsesDynamoDB()
}

// foreign says whether AWS does not know the cluster.
func (c *Config) foreign() bool {
	return c.Kubeconfig != "" || c.Cluster.Existing != nil && c.Cluster.Existing.Context != ""
}

// onAWS says whether there is an AWS side at all.
func (c *Config) onAWS() bool { return c.AWS.Region != "" }

func (c *Config) validate() error {
	var errs check.Errors
	errs.Require(baseName.MatchString(c.Name), "kansoku:name", c.Name,
		"must be 3 to 28 lower-case letters, digits and dashes, beginning with a letter")
	c.validateAWS(&errs)
	c.validateCluster(&errs)
	if c.Network != nil {
		errs.Under("kansoku:network", infra.NetworkArgs{NetworkSettings: *c.Network, Region: c.AWS.Region, ClusterName: c.Name}.Validate())
	}
	if c.Nodes != nil {
		errs.Under("kansoku:nodes", c.Nodes.Validate())
	}
	errs.Under("kansoku:cluster", c.Cluster.Validate())
	errs.Under("kansoku:blocks", c.Blocks.Validate())
	errs.Under("kansoku:chunks", c.Chunks.Validate())
	errs.Under("kansoku:index", c.Index.Validate())
	errs.Under("kansoku:monitoring", c.Monitoring.Validate())
	if c.Cost != nil {
		errs.Under("kansoku:cost", c.Cost.Validate())
	}
	errs.Under("kansoku:monitoring.alertmanager", c.Monitoring.Alertmanager.ValidateSecrets(slices.Sorted(maps.Keys(c.alertSecrets()))))
	errs.Require(c.RegistryCredentials == "" || c.Monitoring.Images.Registry != "" && c.Monitoring.Images.PullSecret == "",
		"kansoku:registryCredentials", "[secret]", "must not be set without kansoku:monitoring.images.registry, nor beside its pullSecret")
	errs.Require(c.RegistryCredentials == "" || dockerConfig(c.RegistryCredentials), "kansoku:registryCredentials", "[secret]",
		`must be the JSON of a Docker configuration: {"auths": {"registry.example.com": …}}`)
	c.validateSpread(&errs)
	c.validateStorage(&errs)
	if err := errs.Err(); err != nil {
		return err // only what is valid can be added up
	}
	c.validateFit(&errs)
	return errs.Err()
}

func (c *Config) validateAWS(errs *check.Errors) {
	if !c.onAWS() {
		errs.Require(c.foreign(), "aws:region", c.AWS.Region,
			`must name the region, such as "ap-northeast-1", unless kansoku:kubeconfig or kansoku:cluster.existing.context is set`)
		if c.foreign() {
			external := c.Blocks.Existing != nil && c.Blocks.Existing.Endpoint != ""
			errs.Require(external, "kansoku:blocks.existing", c.Blocks.Existing, "must be an existing bucket with an endpoint where aws:region is not set")
		}
		return
	}
	errs.Require(region.MatchString(c.AWS.Region), "aws:region", c.AWS.Region, `must be the name of a region, such as "ap-northeast-1"`)
	errs.Require(c.Tags[costCenter] != "", "kansoku:tags."+costCenter, c.Tags[costCenter], "must say who pays")
	for key := range c.Tags {
		reserved := strings.HasPrefix(key, "aws:") || key == "Project" || key == "Stack"
		errs.Require(!reserved, "kansoku:tags."+key, c.Tags[key], "must not be set: AWS or the program sets it")
	}
}

func (c *Config) validateCluster(errs *check.Errors) {
	if c.newCluster() {
		errs.Require(!c.Monitoring.Existing.Any(), "kansoku:monitoring.existing", c.Monitoring.Existing, "must not be set: a new cluster has nothing yet")
		errs.Require(c.Network != nil, "kansoku:network", c.Network, "must be set: a new cluster needs a VPC, created or existing")
		errs.Require(c.Nodes != nil, "kansoku:nodes", c.Nodes, "must be set: a new cluster needs nodes")
		errs.Require(c.Network == nil || c.Network.Existing == nil || len(c.Network.ZoneNames()) >= 2, "kansoku:network.existing.privateSubnets",
			c.Network, "must be in at least two zones: EKS asks for them")
		return
	}
	if c.foreign() {
		errs.Require(c.Kubeconfig == "" || c.Cluster.Existing == nil, "kansoku:cluster.existing", c.Cluster.Existing,
			"must not be set beside kansoku:kubeconfig")
		errs.Require(c.Nodes == nil, "kansoku:nodes", c.Nodes, "must not be set: nodes join a cluster that AWS knows, not one known by its kubeconfig")
		errs.Require(c.Network == nil, "kansoku:network", c.Network, "must not be set: a cluster known by its kubeconfig has a network")
		return
	}
	errs.Require(c.Nodes != nil || c.Cluster.Existing == nil || len(c.Cluster.Existing.InstallAddons) == 0,
		"kansoku:cluster.existing.installAddons", nil, "must not be set without kansoku:nodes: add-ons come with nodes")
	errs.Require(c.Nodes == nil || c.Network != nil && c.Network.Existing != nil, "kansoku:network.existing", nil,
		"must name the VPC and subnets of the existing cluster that kansoku:nodes join")
}

// dockerConfig says whether a text is what a registry's Secret holds.
func dockerConfig(text string) bool {
	var config struct {
		Auths map[string]any `json:"auths"`
	}
	return json.Unmarshal([]byte(text), &config) == nil && config.Auths != nil
}

// validateSpread refuses a spread over zones that the stack does not have.
func (c *Config) validateSpread(errs *check.Errors) {
	if c.Network == nil {
		return
	}
	zones := len(c.Network.ZoneNames())
	m := c.Monitoring
	refuse := func(key string, replicas int, required bool) {
		errs.Require(!required || replicas < 2 || zones >= 2, "kansoku:monitoring."+key+".requireZones", true,
			"must be false, or the network must have at least two zones (it has %d): replicas cannot spread", zones)
	}
	refuse("prometheus", m.Prometheus.Replicas, m.Prometheus.RequireZones)
	refuse("alertmanager", m.Alertmanager.Replicas, m.Alertmanager.RequireZones)
	refuse("adapter", m.Adapter.Replicas, m.Adapter.RequireZones)
	if m.Loki != nil {
		refuse("loki", m.Loki.Replicas, m.Loki.RequireZones)
	}
}

// validateStorage refuses a bucket that forgets what is still to be read, and Loki without its bucket.
func (c *Config) validateStorage(errs *check.Errors) {
	const day = 24 * time.Hour
	longest, ends := c.Monitoring.Thanos.Compact.Longest()
	delay, _ := check.ParseDuration(c.Monitoring.Thanos.Compact.DeleteDelay) // refused elsewhere if it is none
	errs.Require(c.Blocks.ExpireDays == 0 || ends && time.Duration(c.Blocks.ExpireDays)*day > longest+delay, "kansoku:blocks.expireDays",
		c.Blocks.ExpireDays, "must be 0, or longer than every retention in kansoku:monitoring.thanos.compact: half a block cannot be read")
	logs := c.Monitoring.Loki
	if logs == nil {
		return
	}
	if !c.onAWS() {
		external := c.Chunks.Existing != nil && c.Chunks.Existing.Endpoint != ""
		errs.Require(external, "kansoku:chunks.existing", c.Chunks.Existing, "must be an existing bucket with an endpoint where aws:region is not set")
		table := c.Index.Existing != nil && c.Index.Existing.Endpoint != ""
		errs.Require(c.Index.Existing == nil || table, "kansoku:index.existing", c.Index.Existing, "must have an endpoint where aws:region is not set")
		for i, period := range logs.Schema {
			errs.Require(period.Index == loki.TSDB || table, fmt.Sprintf("kansoku:monitoring.loki.schema[%d].index", i), period.Index,
				"must be tsdb, or kansoku:index.existing have an endpoint, where aws:region is not set: there is no DynamoDB")
		}
	}
	if back, err := check.ParseDuration(logs.MaxQueryLookback); err == nil && back > 0 && c.Chunks.ExpireDays > 0 {
		errs.Require(back <= time.Duration(c.Chunks.ExpireDays)*day, "kansoku:monitoring.loki.maxQueryLookback", logs.MaxQueryLookback,
			"must not reach further back than kansoku:chunks.expireDays, %d: chunks are gone by then", c.Chunks.ExpireDays)
	}
}

// decode fills into (a pointer to a struct) from the keys of one namespace.
func decode(from source, namespace string, keys []string, into any, errs *check.Errors) {
	target := reflect.TypeOf(into).Elem()
	values := map[string]any{}
	for _, full := range keys {
		key, ours := strings.CutPrefix(full, namespace+":")
		if !ours {
			continue
		}
		raw, _ := from.GetConfig(full)
		values[key] = parse(raw, fieldType(target, key))
	}

	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: into, TagName: "pulumi",
		MatchName:  func(key, field string) bool { return key == field },
		DecodeHook: refuseNumberAsString,
	})
	if err != nil {
		errs.Under(namespace, fmt.Errorf("building the decoder: %w", err))
		return
	}
	for _, one := range flatten(decoder.Decode(values)) {
		errs.Require(false, namespace+":"+one.key, shown(namespace+":"+one.key, at(values, one.key)), "%s", one.want)
	}
	refuseUnknown(namespace+":", values, target, errs)
}

// refuseUnknown reports the keys of a decoded value that the settings do not have.
func refuseUnknown(path string, value any, t reflect.Type, errs *check.Errors) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch typed := value.(type) {
	case []any:
		for i, one := range typed {
			if t.Kind() == reflect.Slice {
				refuseUnknown(fmt.Sprintf("%s[%d].", strings.TrimSuffix(path, "."), i), one, t.Elem(), errs)
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(typed)) {
			if field := fieldType(t, key); field != nil {
				refuseUnknown(path+key+".", typed[key], field, errs)
				continue
			}
			errs.Require(false, path+key, shown(path+key, typed[key]), "is not a key; known are %s", strings.Join(keysOf(t), ", "))
		}
	}
}

// parse gives a configuration value its type: Pulumi hands structured values over as JSON, scalars as they are written. A plain word where
// an object belongs stays one: the typed decoding says what is expected.
func parse(raw string, target reflect.Type) any {
	if target != nil && target.Kind() == reflect.String {
		return raw
	}
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.UseNumber()
	var parsed any
	if err := decoder.Decode(&parsed); err != nil || decoder.More() {
		return raw
	}
	return parsed
}

var jsonNumber = reflect.TypeFor[json.Number]()

// refuseNumberAsString keeps `version: 1.30` from becoming "1.3".
func refuseNumberAsString(from, to reflect.Type, data any) (any, error) {
	if from == jsonNumber && to.Kind() == reflect.String {
		return nil, errors.New("must be a string: quote it")
	}
	return data, nil
}

// problem is what the decoder found at one key.
type problem struct{ key, want string }

// flatten turns the decoder's tree of errors into a list.
func flatten(err error) []problem {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var all []problem
		for _, one := range joined.Unwrap() {
			all = append(all, flatten(one)...)
		}
		return all
	}
	var found *mapstructure.DecodeError
	if !errors.As(err, &found) {
		return []problem{{want: err.Error()}}
	}
	var parsed *mapstructure.ParseError
	var unconvertible *mapstructure.UnconvertibleTypeError
	switch {
	case errors.As(err, &unconvertible):
		return []problem{{found.Name(), "must be " + kindName(unconvertible.Expected.Type())}}
	case errors.As(err, &parsed):
		return []problem{{found.Name(), "must be " + kindName(parsed.Expected.Type())}}
	case strings.Contains(err.Error(), "expected a map"):
		return []problem{{found.Name(), "must be an object"}}
	case strings.Contains(err.Error(), "must be an array or slice"):
		return []problem{{found.Name(), "must be a list"}}
	}
	return []problem{{found.Name(), found.Unwrap().Error()}}
}

// kindName is a Go type in the words of a configuration file.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// fieldType is the type of a settings struct's key; nil if it has none of that name.
func fieldType(t reflect.Type, key string) reflect.Type {
	for _, f := range reflect.VisibleFields(t) {
		if name := tag(f); name == key && name != "" && name != "-" {
			return f.Type
		}
	}
	return nil
}

func tag(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("pulumi"), ",")
	return name
}

// keysOf lists the keys that a settings struct takes.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range reflect.VisibleFields(t) {
		if name := tag(f); name != "" && name != "-" {
			keys = append(keys, name)
		}
	}
	return keys
}

// at is the value that stands at a path of the decoder ("nodes.spot.maxSize", "access[0].policy"); nil if it cannot be told.
func at(values map[string]any, path string) any {
	var here any = values
	for step := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		switch typed := here.(type) {
		case map[string]any:
			here = typed[step]
		case []any:
			var i int
			if _, err := fmt.Sscanf(step, "[%d]", &i); err != nil || i < 0 || i >= len(typed) {
				return nil
			}
			here = typed[i]
		default:
			return nil
		}
	}
	return here
}

// secretKeys are shown in no message.
var secretKeys = []string{
	"kansoku:kubeconfig", "kansoku:slackUrl", "kansoku:webhookUrl", "kansoku:pagerDutyKey", "kansoku:opsgenieKey", "kansoku:smtpPassword",
	"kansoku:watchdogUrl", "kansoku:grafanaOAuthSecret", "kansoku:registryCredentials",
}

func shown(key string, value any) any {
	// With a suffix they are those of single receivers, or nearly so.
	if slices.ContainsFunc(secretKeys, func(secret string) bool { return strings.HasPrefix(key, secret) }) {
		return "[secret]"
	}
	return value
}

func value(from source, key string) any {
	raw, _ := from.GetConfig(key)
	return raw
}

// environmentKeys lists the keys that the engine handed to this process, which a context cannot enumerate.
func environmentKeys() ([]string, error) {
	var config map[string]string
	raw := os.Getenv(pulumi.EnvConfig)
	if raw == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(raw), &config); err != nil {
		return nil, fmt.Errorf("reading %s: %w", pulumi.EnvConfig, err)
	}
	keys := make([]string, 0, len(config))
	for key := range config {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}
