import type { Provider } from "../provider.ts";

/** The key is a query parameter only. */
export const openweather: Provider = {
  id: "openweather",
  name: "OpenWeather",
  baseUrl: "https://api.openweathermap.org",
  hosts: ["api.openweathermap.org"],
  tokenIn: [{ in: "query", name: "appid" }],
  credential: { kind: "query", name: "appid" },
  docs: "https://openweathermap.org/appid",
  probe: { method: "GET", path: "/data/2.5/weather?lat=0&lon=0" },
};
