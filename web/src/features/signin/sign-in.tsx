import { KeyRound } from "lucide-react";
import { type FormEvent, useEffect, useState } from "react";
import { ApiError } from "@/client/api";
import { useForgetAnswers, useSignIn } from "@/client/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { useTitle } from "@/components/page";
import { clearToasts } from "@/components/toast";
import { explain } from "@/lib/explain";
import { type Translate, useLanguage } from "@/lib/i18n";

/** The server wants to know who looks: the key that was made for this device. */
export function SignIn() {
  const { t } = useLanguage();
  const [key, setKey] = useState("");
  const signIn = useSignIn();
  useTitle(t("signin.title"));
  useForgetAnswers();
  useEffect(() => {
    clearToasts();
    return () => document.getElementById("main")?.focus({ preventScroll: true });
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() !== "") signIn.mutate(key.trim());
  };
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <form
        onSubmit={submit}
        className="grid w-full max-w-md gap-6 rounded-card border border-line bg-surface p-6 sm:p-8"
      >
        <img src="/icons/icon.svg" alt="" className="size-16" />
        <div>
          <h1 className="text-3xl">{t("signin.title")}</h1>
          <p className="mt-2 text-lg text-soft">{t("signin.text")}</p>
        </div>
        <TextField
          label={t("signin.key")}
          type="password"
          autoFocus
          autoComplete="current-password"
          autoCapitalize="none"
          spellCheck={false}
          value={key}
          onChange={(event) => setKey(event.target.value)}
          error={signIn.isError && refusal(signIn.error, t)}
        />
        <Button look="primary" type="submit" busy={signIn.isPending} icon={<KeyRound aria-hidden="true" />}>
          {t("signin.action")}
        </Button>
      </form>
    </main>
  );
}

function refusal(error: Error, t: Translate): string {
  if (!(error instanceof ApiError)) return explain(error, t);
  if (error.status === 401 || error.status === 422) return t("signin.wrong");
  return "retry_after_s" in error.details ? t("signin.locked") : explain(error, t);
}
