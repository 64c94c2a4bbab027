package grafana

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:grafana:Grafana"

const (
	// HTTPPort of the container.
	HTTPPort = 3000
	// ServicePort is the Service's, which leads to HTTPPort.
	ServicePort = 80

	// object is the name of the Kubernetes objects.
	object   = "grafana"
	portName = "http"
	uid      = 472 // grafana, in the image
)

// Names of the volumes. That of the data is part of a claim's name.
const (
	dataVolume      = "data"
	tmpVolume       = "tmp"
	configVolume    = "config"
	secretsVolume   = "secrets"
	provisionVolume = "provisioning"
	downloadsVolume = "downloads"
	listVolume      = "download-list"
)

// Keys of the ConfigMaps and of the Secret with grafana.ini.
const (
	iniKey         = "grafana.ini"
	dataSourcesKey = "datasources.yaml"
	providersKey   = "dashboards.yaml"
	scriptKey      = "download.sh"
	listKey        = "dashboards.txt"
)

//go:embed download.sh
var downloadScript string

// Labels of the pods.
func Labels() kube.Labels {
	return kube.Labels{Name: object, Instance: "main", Component: object, Version: versions.Grafana.Version}
}

// Grafana is a running Grafana.
type Grafana struct {
	pulumi.ResourceState

	// URL inside the cluster: "http://grafana.monitoring.svc:80".
	URL pulumi.StringOutput `pulumi:"url"`
	// AdminPassword of the administrator, a secret; empty where nobody logs in by password.
	AdminPassword pulumi.StringOutput `pulumi:"adminPassword" provider:"secret"`
}

// New deploys Grafana: one pod, as its database is a file. The operator's definitions must exist before: pass pulumi.DependsOn. What changes
// in a dashboard of Args is there within a minute or two; all else rolls the pod.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Grafana, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	wired.ScrapeInterval = cmp.Or(wired.ScrapeInterval, defaultInterval)
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Grafana{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	b := &builder{Args: wired, ctx: ctx, name: name, parent: pulumi.Parent(component), labels: Labels()}
	for _, step := range []func() error{
		b.newSecrets, b.newConfig, b.newProvisioning, b.newDownloads, b.newDashboards, b.newWorkload, b.newIngress,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	component.URL = pulumi.Sprintf("http://%s.%s.svc:%d", object, wired.Namespace, ServicePort)
	component.AdminPassword = pulumi.ToSecret(b.login).(pulumi.StringOutput)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"url": component.URL, "adminPassword": component.AdminPassword,
	})
}

// builder makes the children of one Grafana.
type builder struct {
	Args
	ctx    *pulumi.Context
	name   string // of the component
	labels kube.Labels
	parent pulumi.ResourceOption

	login     pulumi.StringOutput // the administrator's password
	secretKey pulumi.StringOutput
	secrets   map[string]pulumi.StringInput // by key
	files     []pulumi.StringInput          // that Grafana reads once, when it starts
	needed    []pulumi.Resource             // by the pod
}

// newPassword makes a random text that no configuration file can misread.
func (b *builder) newPassword(suffix string) (pulumi.StringOutput, error) {
	password, err := random.NewRandomPassword(b.ctx, b.name+suffix, &random.RandomPasswordArgs{
		Length: pulumi.Int(32), Special: pulumi.Bool(false),
	}, b.parent)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("creating password: %w", err)
	}
	return pulumi.ToSecret(password.Result).(pulumi.StringOutput), nil
}

// newSecrets makes the Secret of the files that grafana.ini refers to, "grafana".
func (b *builder) newSecrets() error {
	var err error
	if b.secretKey, err = b.newPassword("-secret-key"); err != nil {
		return err
	}
	b.secrets = map[string]pulumi.StringInput{secretKeyKey: b.secretKey}
	b.login = pulumi.String("").ToStringOutput()
	if b.Auth.password() {
		if b.AdminPassword != nil {
			b.login = b.AdminPassword.ToStringOutput()
		} else if b.login, err = b.newPassword("-admin"); err != nil {
			return err
		}
		b.secrets[adminPasswordKey] = b.login
	}
	for key, secret := range map[string]pulumi.StringInput{
		genericOAuthKey: b.GenericOAuthSecret, gitHubKey: b.GitHubSecret, googleKey: b.GoogleSecret,
	} {
		if secret != nil {
			b.secrets[key] = secret
		}
	}
	data := pulumi.StringMap{}
	for key, secret := range b.secrets {
		data[key] = pulumi.ToSecret(secret).(pulumi.StringOutput)
	}
	secret, err := corev1.NewSecret(b.ctx, b.name, &corev1.SecretArgs{
		Metadata: b.labels.Meta(object, b.Namespace), StringData: data,
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating secret: %w", err)
	}
	b.needed = append(b.needed, secret)
	return nil
}

// newConfig makes the Secret of grafana.ini, "grafana-config".
func (b *builder) newConfig() error {
	ini, err := b.ini(b.GenericOAuthSecret != nil)
	if err != nil {
		return fmt.Errorf("rendering grafana.ini: %w", err)
	}
	b.files = append(b.files, pulumi.String(ini))
	secret, err := corev1.NewSecret(b.ctx, b.name+"-config", &corev1.SecretArgs{
		Metadata: b.labels.Meta(object+"-config", b.Namespace), StringData: pulumi.StringMap{iniKey: pulumi.String(ini)},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating configuration: %w", err)
	}
	b.needed = append(b.needed, secret)
	return nil
}

// newProvisioning makes the ConfigMap of data sources and dashboard folders, "grafana-provisioning".
func (b *builder) newProvisioning() error {
	folders, err := provisionFolders(b.ownFolders(), b.comFolders(), b.DashboardConfigMaps)
	if err != nil {
		return err
	}
	read := provisionSources(b.ThanosURL, b.LokiURL, b.AlertmanagerURL, sources{scrapeInterval: b.ScrapeInterval})
	b.files = append(b.files, read, pulumi.String(folders))
	return b.newConfigMap("provisioning", pulumi.StringMap{dataSourcesKey: read, providersKey: pulumi.String(folders)})
}

// provisionSources is the file of the data sources, whose addresses may be known later; those that are nil are left out.
func provisionSources(thanos, loki, alertmanager pulumi.StringInput, s sources) pulumi.StringOutput {
	optional := func(url pulumi.StringInput) pulumi.StringInput {
		if url == nil {
			return pulumi.String("")
		}
		return url
	}
	return pulumi.All(optional(thanos), optional(loki), optional(alertmanager)).ApplyT(func(urls []any) (string, error) {
		full := s
		full.thanos, full.loki, full.alertmanager = urls[0].(string), urls[1].(string), urls[2].(string)
		text, err := full.provision()
		return string(text), err
	}).(pulumi.StringOutput)
}

func (b *builder) newConfigMap(suffix string, data pulumi.StringMap) error {
	config, err := corev1.NewConfigMap(b.ctx, b.name+"-"+suffix, &corev1.ConfigMapArgs{
		Metadata: b.labels.Meta(object+"-"+suffix, b.Namespace), Data: data,
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating ConfigMap %s: %w", suffix, err)
	}
	b.needed = append(b.needed, config)
	return nil
}

// newDownloads makes the ConfigMap of what is fetched from grafana.com, "grafana-downloads".
func (b *builder) newDownloads() error {
	if len(b.GrafanaCom) == 0 {
		return nil
	}
	list := pulumi.String(b.downloads(func(uid string) bool { return b.source(uid) != nil }))
	b.files = append(b.files, pulumi.String(downloadScript), list)
	return b.newConfigMap("downloads", pulumi.StringMap{scriptKey: pulumi.String(downloadScript), listKey: list})
}

// newDashboards makes a ConfigMap for each, "grafana-dashboard-NAME": together they would be too large.
func (b *builder) newDashboards() error {
	for _, d := range b.Dashboards {
		text, err := d.compact()
		if err != nil {
			return fmt.Errorf("compacting dashboard %s: %w", d.Name, err)
		}
		if err := b.newConfigMap(d.suffix(), pulumi.StringMap{d.file(): pulumi.String(text)}); err != nil {
			return err
		}
	}
	return nil
}

// checksum of what Grafana reads when it starts. Secrets go in keyed by the one that no person chose, so that it tells nothing about a short
// password.
func (b *builder) checksum() pulumi.StringOutput {
	inputs := []any{b.secretKey}
	for _, file := range b.files {
		inputs = append(inputs, file)
	}
	for _, key := range sorted(b.secrets) {
		inputs = append(inputs, b.secrets[key])
	}
	sum := pulumi.All(inputs...).ApplyT(func(values []any) string {
		mac := hmac.New(sha256.New, []byte(values[0].(string)))
		for _, value := range values[1:] {
			_, _ = fmt.Fprintf(mac, "%q\n", value) // a hash never fails
		}
		return hex.EncodeToString(mac.Sum(nil))
	})
	return pulumi.Unsecret(sum).(pulumi.StringOutput)
}

// newWorkload runs one pod.
func (b *builder) newWorkload() error {
	args := &workload.Args{
		Kind: workload.Deployment, Object: object, Namespace: b.Namespace, Labels: b.labels, Replicas: 1, UID: uid, GID: uid,
		Volumes: b.volumes(), Checksum: b.checksum(), PriorityClass: b.PriorityClass, Images: b.Images, DependsOn: b.needed,
		Monitor: []monitoringv1.Endpoint{{Port: portName}},
		Containers: []workload.Container{{
			Name: object, Image: versions.Grafana.Image(), Resources: b.Resources, Mounts: b.mounts(),
			Ports: []workload.Port{{Name: portName, Number: HTTPPort, Service: ServicePort}},
			// A new database takes its time: every migration since the first release.
			Startup:   &workload.Probe{Path: "/api/health", Port: portName, Period: 5, Timeout: 5, Failures: 60},
			Readiness: &workload.Probe{Path: "/api/health", Port: portName, Period: 10, Timeout: 5},
			Liveness:  &workload.Probe{Path: "/api/health", Port: portName, Period: 10, Timeout: 10, Failures: 6},
		}},
	}
	if b.StorageSize != "" {
		// A StatefulSet ends the old pod before it starts the new one: two must not have the database open.
		args.Kind, args.Claim = workload.StatefulSet, &workload.Claim{Name: dataVolume, Size: b.StorageSize, StorageClass: b.StorageClass}
	}
	if len(b.GrafanaCom) > 0 {
		args.InitContainers = []workload.Container{{
			Name: "download-dashboards", Image: versions.Curl.Image(),
			Command:   []string{"/bin/sh", "/etc/downloads/" + scriptKey, "/etc/downloads/" + listKey, downloadsDir},
			Resources: kube.Resources{CPU: "10m", Memory: "32Mi", MemoryLimit: "64Mi"},
			Mounts:    corev1.VolumeMountArray{mount(listVolume, "/etc/downloads", "", true), mount(downloadsVolume, downloadsDir, "", false)},
		}}
	}
	return workload.New(b.ctx, b.name, args, b.parent)
}

func mount(volume, path, subPath string, readOnly bool) *corev1.VolumeMountArgs {
	m := &corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(path)}
	if subPath != "" {
		m.SubPath = pulumi.String(subPath)
	}
	if readOnly {
		m.ReadOnly = pulumi.Bool(true)
	}
	return m
}

// mounts of Grafana. Single files leave what the image has beside them.
func (b *builder) mounts() corev1.VolumeMountArray {
	mounts := corev1.VolumeMountArray{
		mount(dataVolume, dataDir, "", false),
		mount(tmpVolume, "/tmp", "", false),
		mount(configVolume, configFile, iniKey, true),
		mount(secretsVolume, secretsDir, "", true),
		mount(provisionVolume, provisionDir+"/datasources/"+dataSourcesKey, dataSourcesKey, true),
		mount(provisionVolume, provisionDir+"/dashboards/"+providersKey, providersKey, true),
	}
	for _, title := range b.ownFolders() {
		mounts = append(mounts, mount(folderVolume(title), dashboardsDir+"/"+directory(title), "", true))
	}
	if len(b.GrafanaCom) > 0 {
		mounts = append(mounts, mount(downloadsVolume, downloadsDir, "", true))
	}
	for _, c := range b.DashboardConfigMaps {
		mounts = append(mounts, mount(c.volume(), configMapsDir+"/"+c.Name, "", true))
	}
	return mounts
}

func folderVolume(title string) string { return "folder-" + directory(title) }

func (c DashboardConfigMap) volume() string { return "configmap-" + c.Name }

func (b *builder) volumes() corev1.VolumeArray {
	empty := func(name string) *corev1.VolumeArgs {
		return &corev1.VolumeArgs{Name: pulumi.String(name), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{}}
	}
	secret := func(name, of string) *corev1.VolumeArgs {
		return &corev1.VolumeArgs{Name: pulumi.String(name), Secret: &corev1.SecretVolumeSourceArgs{
			SecretName: pulumi.String(of), DefaultMode: pulumi.Int(0o440),
		}}
	}
	config := func(name, of string) *corev1.VolumeArgs {
		return &corev1.VolumeArgs{Name: pulumi.String(name), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(of)}}
	}
	volumes := corev1.VolumeArray{
		empty(tmpVolume), secret(configVolume, object+"-config"), secret(secretsVolume, object), config(provisionVolume, object+"-provisioning"),
	}
	if b.StorageSize == "" {
		volumes = append(volumes, empty(dataVolume))
	}
	for _, title := range b.ownFolders() {
		volumes = append(volumes, &corev1.VolumeArgs{
			Name: pulumi.String(folderVolume(title)), Projected: &corev1.ProjectedVolumeSourceArgs{Sources: b.projections(title)},
		})
	}
	if len(b.GrafanaCom) > 0 {
		volumes = append(volumes, empty(downloadsVolume), config(listVolume, object+"-downloads"))
	}
	for _, c := range b.DashboardConfigMaps {
		volumes = append(volumes, &corev1.VolumeArgs{Name: pulumi.String(c.volume()), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{
			Name: pulumi.String(c.Name), Optional: pulumi.Bool(true), // the kubelet fills it in when it comes
		}})
	}
	return volumes
}

// projections put the ConfigMaps of one folder into one directory. Grafana does not follow links to directories, so that one volume for all
// folders would look empty to it.
func (b *builder) projections(title string) corev1.VolumeProjectionArray {
	var all corev1.VolumeProjectionArray
	for _, d := range b.Dashboards {
		if d.Folder == title {
			all = append(all, &corev1.VolumeProjectionArgs{
				ConfigMap: &corev1.ConfigMapProjectionArgs{Name: pulumi.String(object + "-" + d.suffix())},
			})
		}
	}
	return all
}

func (b *builder) newIngress() error {
	i := b.Ingress
	if i == nil {
		return nil
	}
	meta := b.labels.Meta(object, b.Namespace)
	if len(i.Annotations) > 0 {
		meta.Annotations = pulumi.ToStringMap(i.Annotations)
	}
	spec := &networkingv1.IngressSpecArgs{Rules: networkingv1.IngressRuleArray{&networkingv1.IngressRuleArgs{
		Host: pulumi.String(i.Host),
		Http: &networkingv1.HTTPIngressRuleValueArgs{Paths: networkingv1.HTTPIngressPathArray{&networkingv1.HTTPIngressPathArgs{
			Path: pulumi.String("/"), PathType: pulumi.String("Prefix"),
			Backend: &networkingv1.IngressBackendArgs{Service: &networkingv1.IngressServiceBackendArgs{
				Name: pulumi.String(object), Port: &networkingv1.ServiceBackendPortArgs{Name: pulumi.String(portName)},
			}},
		}}},
	}}}
	if i.Class != "" {
		spec.IngressClassName = pulumi.String(i.Class)
	}
	if i.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{&networkingv1.IngressTLSArgs{
			Hosts: pulumi.ToStringArray([]string{i.Host}), SecretName: pulumi.String(i.TLSSecret),
		}}
	}
	if _, err := networkingv1.NewIngress(b.ctx, b.name, &networkingv1.IngressArgs{Metadata: meta, Spec: spec}, b.parent); err != nil {
		return fmt.Errorf("creating ingress: %w", err)
	}
	return nil
}

// ownFolders of the dashboards of Args, each once.
func (a Args) ownFolders() []string {
	var titles []string
	for _, d := range a.Dashboards {
		titles = append(titles, d.Folder)
	}
	slices.Sort(titles)
	return slices.Compact(titles)
}
