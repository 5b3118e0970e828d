package awsjson_test

// names are resources that requests can name.
type names struct {
	http, private, public string // namespaces
	spare                 string // a namespace without services
	api, web, open        string // services: with custom health, with A records, in a public namespace
	instance              string // of api
	operation             string
}

// requests returns requests that are right, together with every member that an
// operation has. Some members exclude each other, and take a second request.
func requests(n names) map[string][]members {
	tags := []any{members{"Key": "team", "Value": "shop"}}
	soa := members{"DnsProperties": members{"SOA": members{"TTL": 60}}}
	filter := func(name, condition string, values ...any) []any {
		return []any{members{"Name": name, "Values": values, "Condition": condition}}
	}
	arn := "arn:aws:servicediscovery:us-east-1:000000000000:service/" + n.api
	attrs := members{"k": "v"}
	update := members{"Description": "d", "Properties": soa}
	return map[string][]members{
		"CreateHttpNamespace":       {{"Name": "a", "CreatorRequestId": "t", "Description": "d", "Tags": tags}},
		"CreatePrivateDnsNamespace": {{"Name": "b", "Vpc": "vpc-1", "CreatorRequestId": "t", "Description": "d", "Tags": tags, "Properties": soa}},
		"CreatePublicDnsNamespace":  {{"Name": "c.example", "CreatorRequestId": "t", "Description": "d", "Tags": tags, "Properties": soa}},
		"UpdateHttpNamespace":       {{"Id": n.http, "UpdaterRequestId": "t", "Namespace": members{"Description": "d"}}},
		"UpdatePrivateDnsNamespace": {{"Id": n.private, "UpdaterRequestId": "t", "Namespace": update}},
		"UpdatePublicDnsNamespace":  {{"Id": n.public, "UpdaterRequestId": "t", "Namespace": update}},
		"DeleteNamespace":           {{"Id": n.http}},
		"GetNamespace":              {{"Id": n.http}},
		"ListNamespaces":            {{"MaxResults": 10, "NextToken": "t", "Filters": filter("NAME", "BEGINS_WITH", "s")}},

		"CreateService": {
			{"Name": "x", "NamespaceId": n.private, "CreatorRequestId": "t", "Description": "d", "Tags": tags,
				"DnsConfig":               members{"RoutingPolicy": "MULTIVALUE", "DnsRecords": []any{members{"Type": "A", "TTL": 60}}},
				"HealthCheckCustomConfig": members{"FailureThreshold": 1}},
			{"Name": "y", "NamespaceId": n.http, "Type": "HTTP",
				"HealthCheckConfig": members{"Type": "HTTP", "ResourcePath": "/", "FailureThreshold": 3}},
			{"Name": "z", "DnsConfig": members{"NamespaceId": n.private, "DnsRecords": []any{members{"Type": "A", "TTL": 60}}}},
		},
		"UpdateService": {
			{"Id": n.web, "Service": members{"Description": "d", "DnsConfig": members{"DnsRecords": []any{members{"Type": "A", "TTL": 60}}}}},
			{"Id": n.open, "Service": members{"HealthCheckConfig": members{"Type": "HTTP", "ResourcePath": "/", "FailureThreshold": 3}}},
		},
		"DeleteService": {{"Id": n.api}},
		"GetService":    {{"Id": n.api}},
		"ListServices":  {{"MaxResults": 10, "NextToken": "t", "Filters": filter("NAMESPACE_ID", "EQ", n.http)}},

		"GetServiceAttributes":    {{"ServiceId": n.api}},
		"UpdateServiceAttributes": {{"ServiceId": n.api, "Attributes": attrs}},
		"DeleteServiceAttributes": {{"ServiceId": n.api, "Attributes": []any{"k"}}},

		"RegisterInstance":   {{"ServiceId": n.api, "InstanceId": "i", "CreatorRequestId": "t", "Attributes": attrs}},
		"DeregisterInstance": {{"ServiceId": n.api, "InstanceId": n.instance}},
		"GetInstance":        {{"ServiceId": n.api, "InstanceId": n.instance}},
		"ListInstances":      {{"ServiceId": n.api, "MaxResults": 10, "NextToken": "t"}},

		"GetInstancesHealthStatus":         {{"ServiceId": n.api, "Instances": []any{n.instance}, "MaxResults": 10, "NextToken": "t"}},
		"UpdateInstanceCustomHealthStatus": {{"ServiceId": n.api, "InstanceId": n.instance, "Status": "HEALTHY"}},

		"DiscoverInstances": {{"NamespaceName": "shop", "ServiceName": "api", "MaxResults": 10, "QueryParameters": attrs, "OptionalParameters": attrs,
			"HealthStatus": "ALL", "OwnerAccount": "000000000000"}},
		"DiscoverInstancesRevision": {{"NamespaceName": "shop", "ServiceName": "api", "OwnerAccount": "000000000000"}},

		"GetOperation":   {{"OperationId": n.operation, "OwnerAccount": "000000000000"}},
		"ListOperations": {{"MaxResults": 10, "NextToken": "t", "Filters": filter("SERVICE_ID", "EQ", n.api)}},

		"ListTagsForResource": {{"ResourceARN": arn}},
		"TagResource":         {{"ResourceARN": arn, "Tags": tags}},
		"UntagResource":       {{"ResourceARN": arn, "TagKeys": []any{"team"}}},
	}
}
