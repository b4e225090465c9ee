import type { Provider } from "../provider.ts";

/** Most of these APIs refuse a key with status 200; the static map, once enabled, answers 403. It counts as one map. */
export const googleMaps: Provider = {
  id: "google-maps",
  name: "Google Maps Platform",
  baseUrl: "https://maps.googleapis.com",
  hosts: ["maps.googleapis.com", "places.googleapis.com", "routes.googleapis.com"],
  tokenIn: [
    { in: "query", name: "key" },
    { in: "header", name: "x-goog-api-key" },
  ],
  credential: { kind: "query", name: "key" },
  docs: "https://developers.google.com/maps/documentation/geocoding/get-api-key",
  probe: { method: "GET", path: "/maps/api/staticmap?center=0,0&zoom=1&size=1x1" },
};
