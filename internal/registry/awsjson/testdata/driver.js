// Makes the calls that stand on its input with the JavaScript SDK, and prints
// what each returned: a line of JSON in, a line of JSON out.
const sd = require("@aws-sdk/client-servicediscovery");
const lines = require("readline").createInterface({ input: process.stdin });

const client = new sd.ServiceDiscoveryClient({
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
  disableHostPrefix: true,
  maxAttempts: 1,
});

(async () => {
  for await (const line of lines) {
    const call = JSON.parse(line);
    let answer;
    try {
      const { $metadata, ...out } = await client.send(new sd[call.op + "Command"](call.in));
      answer = { out };
    } catch (e) {
      answer = { error: { ...e, code: e.name, typed: e instanceof (sd[e.name] ?? Boolean), Message: e.message } };
    }
    console.log(JSON.stringify(answer));
  }
})();
