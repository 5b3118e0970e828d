# What terraform_test.go applies, changes, imports and destroys.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" { type = string }

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "local"
  secret_key                  = "local"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    servicediscovery = var.endpoint
  }
}

variable "ttl" { default = 10 }
variable "description" { default = "first" }
variable "tags" {
  type    = map(string)
  default = { team = "shop" }
}

resource "aws_service_discovery_http_namespace" "shop" {
  name        = "shop"
  description = var.description
  tags        = var.tags
}

resource "aws_service_discovery_private_dns_namespace" "internal" {
  name        = "shop.internal"
  vpc         = "vpc-1"
  description = var.description
  tags        = var.tags
}

resource "aws_service_discovery_public_dns_namespace" "open" {
  name        = "shop.example"
  description = var.description
  tags        = var.tags
}

resource "aws_service_discovery_service" "api" {
  name         = "api"
  namespace_id = aws_service_discovery_http_namespace.shop.id
  tags         = var.tags

  health_check_custom_config {
    failure_threshold = 1
  }
}

resource "aws_service_discovery_service" "web" {
  name        = "web"
  description = var.description
  tags        = var.tags

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.internal.id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = var.ttl
    }
  }
}

resource "aws_service_discovery_service" "www" {
  name        = "www"
  description = var.description

  dns_config {
    namespace_id   = aws_service_discovery_public_dns_namespace.open.id
    routing_policy = "WEIGHTED"
    dns_records {
      type = "A"
      ttl  = var.ttl
    }
  }

  health_check_config {
    type              = "HTTP"
    resource_path     = "/healthz"
    failure_threshold = 2
  }
}

resource "aws_service_discovery_instance" "web" {
  service_id  = aws_service_discovery_service.web.id
  instance_id = "web-1"
  attributes = {
    AWS_INSTANCE_IPV4 = "10.0.0.1"
    description       = var.description
  }
}

data "aws_service_discovery_http_namespace" "shop" {
  name       = "shop"
  depends_on = [aws_service_discovery_http_namespace.shop]
}

output "ids" {
  value = {
    "aws_service_discovery_http_namespace.shop"            = data.aws_service_discovery_http_namespace.shop.id
    "aws_service_discovery_private_dns_namespace.internal" = "${aws_service_discovery_private_dns_namespace.internal.id}:vpc-1"
    "aws_service_discovery_public_dns_namespace.open"      = aws_service_discovery_public_dns_namespace.open.id
    "aws_service_discovery_service.api"                    = aws_service_discovery_service.api.id
    "aws_service_discovery_service.web"                    = aws_service_discovery_service.web.id
    "aws_service_discovery_service.www"                    = aws_service_discovery_service.www.id
    "aws_service_discovery_instance.web"                   = "${aws_service_discovery_service.web.id}/web-1"
  }
}
