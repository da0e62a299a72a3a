import { ApiError, type Schema } from "@/client/api";

export type Consent = Schema["Consent"];

/** Who agrees; nobody is chosen beforehand, since a choice that was made for somebody is no consent. */
export type Who = "self" | "representative" | "else";

/** A consent record as it is filled in. */
export interface ConsentDraft {
  who: Who | "";
  /** In what capacity, where it is another. */
  as: string;
  /** Full name; null: as the person is called, where the person agrees. */
  givenBy: string | null;
  givenOn: string;
  /** Last day, or empty. */
  until: string;
  textVersion: string | null;
}

export function newConsent(): ConsentDraft {
  return { who: "", as: "", givenBy: null, givenOn: today(), until: "", textVersion: null };
}

/** A record, to be changed. */
export function draftOf(consent: Consent): ConsentDraft {
  const who = whoOf(consent.capacity);
  return {
    who,
    as: who === "else" ? consent.capacity : "",
    givenBy: consent.given_by,
    givenOn: consent.given_on,
    until: consent.valid_until ?? "",
    textVersion: consent.text_version,
  };
}

/** The capacity in words that this page knows, else "else": it may be written in any program. */
export function whoOf(capacity: string): Who {
  return capacity === "self" || capacity === "representative" ? capacity : "else";
}

/** The name of who agrees, as the form shows it. */
export function giverOf(draft: ConsentDraft, personName: string): string {
  return draft.givenBy ?? (draft.who === "self" ? personName : "");
}

/** What is missing or does not fit. */
export function faultsOf(draft: ConsentDraft, personName: string) {
  return {
    who: draft.who === "",
    as: draft.who === "else" && draft.as.trim() === "",
    givenBy: giverOf(draft, personName).trim() === "",
    givenOn: draft.givenOn === "",
    until: draft.until !== "" && draft.until < draft.givenOn,
  };
}

/** The record for the server; null while something is missing. */
export function recordOf(draft: ConsentDraft, personName: string): Consent | null {
  if (draft.who === "" || Object.values(faultsOf(draft, personName)).some(Boolean)) return null;
  return {
    given_by: giverOf(draft, personName).trim(),
    capacity: draft.who === "else" ? draft.as.trim() : draft.who,
    given_on: draft.givenOn,
    valid_until: draft.until || null,
    text_version: draft.textVersion,
  };
}

/** The server refused since nobody has agreed: the house asks for consent since this page asked. */
export function asksForConsent(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.code !== "VALIDATION_ERROR") return false;
  const { fields } = error.details;
  return Array.isArray(fields) && fields.some((each) => each?.field === "consent");
}

export function hasEnded(consent: Consent): boolean {
  return consent.valid_until !== null && consent.valid_until < today();
}

/** This day on this device, as YYYY-MM-DD. */
function today(): string {
  const now = new Date();
  return new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
}
