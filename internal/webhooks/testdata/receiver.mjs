// A receiver as a partner writes one: signatures are checked by the npm package
// standardwebhooks (v1) and by node's crypto (v1a), and what is taken is on the disk
// before it is answered. It fails a third of the time.
import { createServer } from "node:http";
import { createPublicKey, verify } from "node:crypto";
import { openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const { Webhook } = createRequire(process.env.MODULES + "/receiver.js")("standardwebhooks");
const { SECRET, PUBLIC_KEY, PORT, TAKEN, SEED } = process.env;

const hook = new Webhook(SECRET);
// SubjectPublicKeyInfo of an ed25519 key (RFC 8410, section 4) is this and its 32 bytes.
const prefix = Buffer.from("302a300506032b6570032100", "hex");
const key = createPublicKey({
  key: Buffer.concat([prefix, Buffer.from(PUBLIC_KEY.replace(/^whpk_/, ""), "base64")]),
  format: "der",
  type: "spki",
});
const taken = openSync(TAKEN, "a");

let state = Number(SEED);
function dice() {
  state = (state * 1103515245 + 12345) % 2147483648;
  return state / 2147483648;
}

function note(line) {
  writeSync(taken, JSON.stringify(line) + "\n");
}

createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString();
    const headers = request.headers;
    try {
      hook.verify(body, headers);
      const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
      const signatures = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
      if (!signatures.some((one) => verify(null, signed, key, Buffer.from(one.slice(4), "base64")))) {
        throw new Error("no v1a signature is right");
      }
    } catch (error) {
      note({ fault: String(error) });
      response.writeHead(400).end();
      return;
    }
    const luck = dice();
    if (luck < 1 / 3) {
      note({ failed: true });
      if (luck < 1 / 30) {
        request.socket.destroy();
        return;
      }
      response.writeHead(luck < 1 / 6 ? 500 : 503).end("x".repeat(100000));
      return;
    }
    note({ id: headers["webhook-id"], ...JSON.parse(body).data });
    response.writeHead(204).end();
  });
}).listen(Number(PORT), "127.0.0.1", function () {
  console.log(this.address().port);
});
