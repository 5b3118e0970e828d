"""What a client of Cloud Map does, with boto3 as it comes: create a namespace
and two services, register five servers, crash two of them, start them again,
and look at each point at what is found. Ends with 0 if all was as it must be.
"""

import subprocess
import sys
import time

import boto3

PATIENCE = 60.0
cloudmap = boto3.client("servicediscovery", endpoint_url="http://cloudmap.local")


def until(what, is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(0.1)


def succeeded(operation):
    status = cloudmap.get_operation(OperationId=operation)["Operation"]["Status"]
    assert status in ("SUBMITTED", "PENDING", "SUCCESS"), status
    return status == "SUCCESS"


def await_operation(operation):
    until(f"operation {operation}", lambda: succeeded(operation))
    return cloudmap.get_operation(OperationId=operation)["Operation"]["Targets"]


def serve(port=0):
    """Starts a server on a port, or on a free one, and returns both."""
    code = (
        "import http.server, sys\n"
        "s = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)\n"
        "print(s.server_address[1], flush=True)\n"
        "s.serve_forever()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    servers.append(process)
    return process, int(process.stdout.readline())


def attributes(port):
    return {"AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": str(port), "version": "1.0 (a)", "empty": ""}


def found(service):
    answer = cloudmap.discover_instances(NamespaceName="boutique", ServiceName=service, HealthStatus="HEALTHY")
    return {i["InstanceId"]: i["Attributes"] for i in answer["Instances"]}


def run():
    targets = await_operation(cloudmap.create_http_namespace(Name="boutique")["OperationId"])
    namespace = targets["NAMESPACE"]
    ids = {
        "plain": cloudmap.create_service(Name="plain", NamespaceId=namespace)["Service"]["Id"],
        "custom": cloudmap.create_service(
            Name="custom", NamespaceId=namespace, HealthCheckCustomConfig={"FailureThreshold": 1}
        )["Service"]["Id"],
    }
    running, registered = {}, {"plain": {}, "custom": {}}
    for name, count in (("plain", 3), ("custom", 2)):
        for n in range(count):
            instance = f"{name}-{n}"
            running[instance] = serve()
            registered[name][instance] = attributes(running[instance][1])
            operation = cloudmap.register_instance(
                ServiceId=ids[name], InstanceId=instance, Attributes=registered[name][instance]
            )["OperationId"]
            await_operation(operation)

    for name in ids:  # before
        until(f"all of {name}", lambda: found(name) == registered[name])
    print("ready", flush=True)
    sys.stdin.readline()  # until the checker has seen them, too

    for name in ids:  # during
        process, port = running[f"{name}-0"]
        process.kill()
        process.wait()
        left = {k: v for k, v in registered[name].items() if k != f"{name}-0"}
        until(f"the rest of {name}", lambda: found(name) == left)
    listed = [i["Id"] for i in cloudmap.list_instances(ServiceId=ids["plain"])["Instances"]]
    assert sorted(listed) == ["plain-1", "plain-2"], listed
    status = cloudmap.get_instances_health_status(ServiceId=ids["custom"], Instances=["custom-0"])["Status"]
    assert status == {"custom-0": "UNHEALTHY"}, status

    for name in ids:  # after
        serve(running[f"{name}-0"][1])
        until(f"all of {name} again", lambda: found(name) == registered[name])


servers = []
try:
    run()
finally:
    for s in servers:
        s.kill()
        s.wait()
