/** Whom a stream waits for. */
export type Side = "upstream" | "agent";

/** What goes on in a stream: whoever moves it tells, and is told when it must end. */
export interface Flow {
  /** Something has passed; from now on it waits for `side`. */
  moved(side: Side): void;
  /** Bytes that go on, masked, in order: to be looked at now, since they are written over. */
  see?(bytes: Uint8Array): void;
  /** `run` is called at most once, and never after the stream's end. */
  onCut(run: (cut: Error) => void): void;
}
