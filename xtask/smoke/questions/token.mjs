// About what is only for those who show the token.

import { asExpected, cannotTell, differs } from "../finding.mjs";

const FIELD = "tidegate-debug";

const debug = {
  name: "debug",
  question: "Is the debug field there for the token, and for nobody else?",
  async find({ site, known, probe, token }) {
    if (!token) {
      return cannotTell("no token was given", "Name by --token-env the variable that has it.");
    }
    const ask = async (shown) => {
      const headers = { "Tidegate-Debug": "1", ...(shown && { "Tidegate-Token": shown }) };
      return (await site.ask(probe, { headers })).headers.get(FIELD);
    };
    const [nobody, stranger] = [await ask(), await ask("not-the-token-of-anybody")];
    const owner = await ask(token);
    if (nobody !== null || stranger !== null) {
      return differs(
        `everybody sees it: ${nobody ?? stranger}`,
        "Keys are nobody's business: take `token` out of the policy's [edge], deploy, and tell us.",
      );
    }
    if (owner === null) {
      return cannotTell(
        "not even for the token",
        "Is it the one of `[edge] token` (`npx wrangler secret list` has its name)?",
      );
    }
    const policy = /;\s*policy=([^;\s]+)/.exec(owner)?.[1];
    return policy && known.health && policy !== known.health.policy
      ? differs(
          `${owner}, while the health page says ${known.health.policy}`,
          "Two versions are being deployed side by side, or a policy was just published: ask again.",
        )
      : asExpected(owner);
  },
};

export const ABOUT_THE_TOKEN = [debug];
