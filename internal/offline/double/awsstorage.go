package double

import (
	"encoding/base64"
	"strings"
)

var storageTypes = map[string]awsType{
	"aws:s3/bucketV2:BucketV2": {
		id: property("bucket", "bucketPrefix"), name: "bucket", prefix: "bucketPrefix", transform: strings.ToLower, tagged: true,
		conflict: "BucketAlreadyOwnedByYou: Your previous request to create the named bucket succeeded and you already own it: %s",
		defaults: out{"forceDestroy": false},
		computed: func(x *made) out {
			name := x.named("bucket", "bucketPrefix")
			return out{
				"arn": "arn:" + partitionOf(x.region) + ":s3:::" + name, "bucket": name, "region": x.region,
				"bucketDomainName":         name + ".s3." + dnsSuffixOf(x.region),
				"bucketRegionalDomainName": name + ".s3." + x.region + "." + dnsSuffixOf(x.region),
				"hostedZoneId":             "Z" + upper(digest(13, x.region)), "requestPayer": "BucketOwner", "accelerationStatus": "",
				"objectLockEnabled": false, "policy": "", "acl": "", "versionings": []any{}, "grants": []any{},
				"serverSideEncryptionConfigurations": []any{}, "lifecycleRules": []any{}, "corsRules": []any{}, "loggings": []any{},
				"replicationConfigurations": []any{}, "websites": []any{},
			}
		},
		get: func(x *made) out { return out{"bucket": x.id} },
	},
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {
		id: property("bucket", ""), parents: bucketParent,
		defaults: out{"blockPublicAcls": false, "blockPublicPolicy": false, "ignorePublicAcls": false, "restrictPublicBuckets": false},
	},
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls": {id: property("bucket", ""), parents: bucketParent},
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {
		id: property("bucket", ""), parents: bucketParent,
	},
	"aws:s3/bucketVersioningV2:BucketVersioningV2": {id: property("bucket", ""), parents: bucketParent},
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": {
		id: property("bucket", ""), parents: bucketParent,
		computed: func(*made) out {
			return out{"transitionDefaultMinimumObjectSize": "all_storage_classes_128K", "expectedBucketOwner": ""}
		},
	},
	"aws:s3/bucketPolicy:BucketPolicy": {id: property("bucket", ""), parents: bucketParent},
	"aws:dynamodb/table:Table": {
		id: property("name", ""), name: "name", tagged: true,
		conflict: "ResourceInUseException: Table already exists: %s",
		defaults: out{"billingMode": "PROVISIONED"},
		computed: func(x *made) out {
			return out{
				"arn": x.arn("dynamodb", "table/"+text(x.in, "name")), "streamArn": "", "streamLabel": "", "readCapacity": 0,
				"writeCapacity": 0, "tableClass": "STANDARD", "deletionProtectionEnabled": false, "streamEnabled": false,
				"pointInTimeRecovery": out{"enabled": false, "recoveryPeriodInDays": 0},
			}
		},
		get: func(x *made) out {
			return out{
				"name": x.id, "billingMode": "PAY_PER_REQUEST", "hashKey": "h", "rangeKey": "r",
				"attributes": []any{out{"name": "h", "type": "S"}, out{"name": "r", "type": "B"}},
			}
		},
	},
}

var otherTypes = map[string]awsType{
	"aws:kms/key:Key": {
		id: func(x *made) string { return uuid(x.seeded("key")...) }, tagged: true,
		defaults: out{
			"bypassPolicyLockoutSafetyCheck": false, "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "enableKeyRotation": false,
			"isEnabled": true, "keyUsage": "ENCRYPT_DECRYPT",
		},
		computed: func(x *made) out {
			return out{
				"arn": x.arn("kms", "key/"+x.id), "keyId": x.id, "description": "", "multiRegion": false, "rotationPeriodInDays": 365,
				"policy": `{"Statement":[{"Action":"kms:*","Effect":"Allow","Principal":{"AWS":"` + x.iamARN("root") +
					`"},"Resource":"*"}],"Version":"2012-10-17"}`,
			}
		},
	},
	"aws:kms/alias:Alias": {
		id: property("name", "namePrefix"), name: "name", prefix: "namePrefix",
		transform: func(name string) string {
			if strings.HasPrefix(name, "alias/") {
				return name
			}
			return "alias/" + name
		},
		conflict: "AlreadyExistsException: An alias with the name %s already exists",
		computed: func(x *made) out {
			key := or(x.lookup("aws:kms/key:Key", text(x.in, "targetKeyId"), "arn"), text(x.in, "targetKeyId"))
			return out{"arn": x.arn("kms", text(x.in, "name")), "targetKeyArn": key, "name": x.named("name", "namePrefix")}
		},
		follows: map[string][]string{"targetKeyArn": {"targetKeyId"}},
	},
	"aws:autoscaling/tag:Tag": {
		id: func(x *made) string { return text(x.in, "autoscalingGroupName") + "," + text(x.in, "tag", "key") },
	},
	"aws:cloudwatch/logGroup:LogGroup": {
		id: property("name", "namePrefix"), name: "name", prefix: "namePrefix", tagged: true,
		conflict: "ResourceAlreadyExistsException: The specified log group already exists: %s",
		defaults: out{"retentionInDays": 0, "skipDestroy": false},
		computed: func(x *made) out {
			name := x.named("name", "namePrefix")
			return out{"arn": x.arn("logs", "log-group:"+name), "name": name, "logGroupClass": "STANDARD"}
		},
	},
}

var bucketParent = map[string]string{"bucket": "aws:s3/bucketV2:BucketV2"}

func policyARN(x *made) string {
	return x.iamARN("policy" + or(text(x.in, "path"), "/") + x.named("name", "namePrefix"))
}

// certificate is the text of no certificate, in the form in which EKS gives one.
func certificate(x *made) string {
	body := base64.StdEncoding.EncodeToString([]byte(digest(64, x.seeded("certificate")...)))
	return base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----\n"))
}

func bareURL(url string) string { return strings.TrimPrefix(url, "https://") }

func afterFirst(text, mark string) string {
	_, after, _ := strings.Cut(text, mark)
	return after
}

func upper(text string) string { return strings.ToUpper(text) }
