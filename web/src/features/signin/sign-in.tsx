import { KeyRound } from "lucide-react";
import { type FormEvent, useState } from "react";
import { ApiError } from "@/client/api";
import { useSignIn } from "@/client/session";
import { Button } from "@/components/button";
import { TextField } from "@/components/field";
import { useTitle } from "@/components/page";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";

/** The server wants to know who looks: the key that was made for this device. */
export function SignIn() {
  const { t } = useLanguage();
  const [key, setKey] = useState("");
  const signIn = useSignIn();
  useTitle(t("signin.title"));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() !== "") signIn.mutate(key.trim());
  };
  const wrong = signIn.error instanceof ApiError && [401, 403, 422].includes(signIn.error.status);
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
          autoComplete="current-password"
          autoCapitalize="none"
          spellCheck={false}
          value={key}
          onChange={(event) => setKey(event.target.value)}
          error={signIn.isError && (wrong ? t("signin.wrong") : explain(signIn.error, t))}
        />
        <Button look="primary" type="submit" busy={signIn.isPending} icon={<KeyRound aria-hidden="true" />}>
          {t("signin.action")}
        </Button>
      </form>
    </main>
  );
}
