/** By name; a name that came several times as a list (`expand[]=a&expand[]=b`). Names and values are decoded once. */
export type Parameters = Readonly<Record<string, string | readonly string[]>>;

/** Numbers of a JSON text that are written with an exponent; null where they are too many to tell. */
export type Exponents = ReadonlySet<number> | null;

/** What policies and permissions see of a body: the very bytes that are sent, read once. */
export type BodyView =
  | { readonly kind: "none" }
  /**
   * `value`: what JSON.parse gives, or a form's Parameters, whose names stay flat (`metadata[order]`). Objects have no
   * prototype.
   */
  | { readonly kind: "json"; readonly value: unknown; readonly exponents?: Exponents }
  | { readonly kind: "form"; readonly value: unknown }
  /** Of no type that is read here; `why` completes "the body …". */
  | { readonly kind: "unreadable"; readonly why: string }
  /** Nothing that applies looks into it: it streams past. */
  | { readonly kind: "unread" };

/** A call as it will be sent, but for its credential. Nothing in it is a credential. */
export interface RequestView {
  readonly method: string;
  /** Canonical, below the connection's base URL. */
  readonly path: string;
  /** The upstream's `host[:port]`. */
  readonly host: string;
  /** Where nothing that applies looks into it, it is read when it is asked for, which throws BODY_AMBIGUOUS. */
  readonly query: Parameters;
  /** Lower-case names; credentials and gateway headers are not among them. Several of one name are joined by `, `. Read as `query` is. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the body, as read or as announced; null where neither is known. */
  readonly size: number | null;
  readonly body: BodyView;
}
