/** A file's bytes as they are: a data module (wrangler.toml's rule, esbuild's `binary` loader). */
declare module "*.gz" {
  const bytes: ArrayBuffer | Uint8Array<ArrayBuffer>;
  // oxlint-disable-next-line import/no-default-export -- what a data module has.
  export default bytes;
}
