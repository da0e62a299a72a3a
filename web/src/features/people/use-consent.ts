import { useState } from "react";
import { useHouseRules } from "@/client/server";
import { asksForConsent, newConsent, recordOf } from "./consent";

/** The consent of someone who is to be remembered, where the house asks for it. */
export function useConsent(personName: string) {
  const rules = useHouseRules(true);
  const [asked, setAsked] = useState(false);
  const [draft, setDraft] = useState(newConsent);
  const needed = asked || rules.data?.require_consent === true;
  const record = needed ? recordOf(draft, personName) : null;
  return {
    needed,
    draft,
    setDraft,
    record,
    missing: needed && record === null,
    reset: () => setDraft(newConsent()),
    /** Look at what was refused: the house may ask for consent since a moment ago. */
    refused: (error: unknown) => {
      if (asksForConsent(error)) setAsked(true);
    },
  };
}
