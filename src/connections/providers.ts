import type { Provider } from "./provider.ts";
import { airtable } from "./providers/airtable.ts";
import { anthropic } from "./providers/anthropic.ts";
import { asana } from "./providers/asana.ts";
import { atlassian } from "./providers/atlassian.ts";
import { azureOpenai } from "./providers/azure-openai.ts";
import { braveSearch } from "./providers/brave-search.ts";
import { cloudflare } from "./providers/cloudflare.ts";
import { cohere } from "./providers/cohere.ts";
import { deepgram } from "./providers/deepgram.ts";
import { deepseek } from "./providers/deepseek.ts";
import { digitalocean } from "./providers/digitalocean.ts";
import { discord } from "./providers/discord.ts";
import { elevenlabs } from "./providers/elevenlabs.ts";
import { figma } from "./providers/figma.ts";
import { fireworks } from "./providers/fireworks.ts";
import { gemini } from "./providers/gemini.ts";
import { github } from "./providers/github.ts";
import { gitlab } from "./providers/gitlab.ts";
import { googleMaps } from "./providers/google-maps.ts";
import { groq } from "./providers/groq.ts";
import { hubspot } from "./providers/hubspot.ts";
import { huggingface } from "./providers/huggingface.ts";
import { intercom } from "./providers/intercom.ts";
import { linear } from "./providers/linear.ts";
import { mailgun } from "./providers/mailgun.ts";
import { mistral } from "./providers/mistral.ts";
import { notion } from "./providers/notion.ts";
import { openai } from "./providers/openai.ts";
import { openrouter } from "./providers/openrouter.ts";
import { openweather } from "./providers/openweather.ts";
import { paypal } from "./providers/paypal.ts";
import { perplexity } from "./providers/perplexity.ts";
import { pinecone } from "./providers/pinecone.ts";
import { postmark } from "./providers/postmark.ts";
import { replicate } from "./providers/replicate.ts";
import { resend } from "./providers/resend.ts";
import { sendgrid } from "./providers/sendgrid.ts";
import { sentry } from "./providers/sentry.ts";
import { serpapi } from "./providers/serpapi.ts";
import { shopify } from "./providers/shopify.ts";
import { slack } from "./providers/slack.ts";
import { square } from "./providers/square.ts";
import { stripe } from "./providers/stripe.ts";
import { tavily } from "./providers/tavily.ts";
import { telegram } from "./providers/telegram.ts";
import { together } from "./providers/together.ts";
import { twilio } from "./providers/twilio.ts";
import { vercel } from "./providers/vercel.ts";
import { xai } from "./providers/xai.ts";
import { zendesk } from "./providers/zendesk.ts";

const ALL: readonly Provider[] = [
  airtable,
  anthropic,
  asana,
  atlassian,
  azureOpenai,
  braveSearch,
  cloudflare,
  cohere,
  deepgram,
  deepseek,
  digitalocean,
  discord,
  elevenlabs,
  figma,
  fireworks,
  gemini,
  github,
  gitlab,
  googleMaps,
  groq,
  hubspot,
  huggingface,
  intercom,
  linear,
  mailgun,
  mistral,
  notion,
  openai,
  openrouter,
  openweather,
  paypal,
  perplexity,
  pinecone,
  postmark,
  replicate,
  resend,
  sendgrid,
  sentry,
  serpapi,
  shopify,
  slack,
  square,
  stripe,
  tavily,
  telegram,
  together,
  twilio,
  vercel,
  xai,
  zendesk,
];

/** The catalogue: every provider by its id. */
export const providers: ReadonlyMap<string, Provider> = new Map(
  ALL.map((provider) => [provider.id, provider]),
);
