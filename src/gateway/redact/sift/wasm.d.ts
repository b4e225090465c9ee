/** A compiled module, as wrangler and `local/bundle.ts` give it. */
declare module "*.wasm" {
  const module: WebAssembly.Module;
  // oxlint-disable-next-line import/no-default-export -- what a module of this kind has.
  export default module;
}
