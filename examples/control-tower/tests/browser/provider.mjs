// An OpenID provider that others wrote (npm `oidc-provider`), on loopback over TLS:
//   node provider.mjs DIRECTORY-OF-NODE-MODULES KEY CERTIFICATE CLIENT-SECRET REDIRECT-URI
// It prints its issuer when it listens. Whoever types a name into its own pages is that subject.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:https";
import { pathToFileURL } from "node:url";

const [modules, key, certificate, secret, redirect] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(createRequire(`${modules}/`).resolve("oidc-provider")));
const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) });
server.listen(0, "localhost", () => {
  const issuer = `https://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "keyward", client_secret: secret, redirect_uris: [redirect], grant_types: ["authorization_code"] }],
    cookies: { keys: ["of a test"] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: "ann@example.com" }) }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
