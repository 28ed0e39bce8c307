/** The order of the visitor's requests of one kind: a newer one supersedes those before it. */
export class Turns {
  private count = 0;

  /** Requests of this kind are superseded, too, by newer ones of the kind `above`. */
  constructor(private readonly above?: Turns) {}

  /** Take a turn when a request begins. Returns a function that tells whether it still counts. */
  take(): () => boolean {
    this.count++;
    return this.unlessNewer();
  }

  private unlessNewer(): () => boolean {
    const { count } = this;
    const counts = this.above?.unlessNewer();
    return () => count === this.count && (counts?.() ?? true);
  }
}
