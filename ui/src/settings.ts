// What the server writes into the index page: where it stands and what its flags say.

export interface Settings {
  /** Route prefix without a slash at its end. */
  prefix: string;
  title: string;
  /** How far back instant queries look, as a duration. */
  lookbackDelta: string;
}

declare global {
  interface Window {
    TRIVIUM?: Settings | string;
  }
}

const given = window.TRIVIUM;

export const settings: Settings =
  typeof given === "object" ? given : { prefix: "", title: "Trivium", lookbackDelta: "5m" };
