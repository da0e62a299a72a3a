import { KeyRound } from "lucide-react";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
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
  const left = useSecondsLeft(signIn.error);
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
          error={sayRefusal(signIn.error, left, t)}
        />
        <Button look="primary" type="submit" busy={signIn.isPending} icon={<KeyRound aria-hidden="true" />}>
          {t("signin.action")}
        </Button>
      </form>
    </main>
  );
}

function sayRefusal(error: Error | null, left: number | null, t: Translate): ReactNode {
  if (error === null) return null;
  if (left !== null) return <Locked left={left} />;
  const wrong = error instanceof ApiError && (error.status === 401 || error.status === 422);
  return wrong ? t("signin.wrong") : explain(error, t);
}

/** Read out at once and when it is over, not every second. */
function Locked({ left }: { left: number }) {
  const { t } = useLanguage();
  const [first] = useState(left);
  if (left === 0) return t("signin.unlocked");
  return (
    <>
      <span className="sr-only">{t("signin.locked", { count: first })}</span>
      <span aria-hidden="true">{t("signin.locked", { count: left })}</span>
    </>
  );
}

/** For how long no key is looked at after too many wrong ones, in seconds; null where that is not so. */
function useSecondsLeft(error: Error | null): number | null {
  const wait = error instanceof ApiError ? error.details.retry_after_s : undefined;
  const [left, setLeft] = useState<number | null>(null);
  useEffect(() => {
    if (error === null || typeof wait !== "number") return setLeft(null);
    const end = Date.now() + wait * 1000;
    const tick = () => setLeft(Math.max(0, Math.ceil((end - Date.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [error, wait]);
  return left;
}
