import { useQueryClient } from "@tanstack/react-query";
import { ArchiveRestore, CircleCheck } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { ApiError, asForm, type Schema } from "@/client/api";
import { upload } from "@/client/download";
import { Button } from "@/components/button";
import { Choice, TextField } from "@/components/field";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { sayDay } from "@/lib/when";
import { Bar, useProgress } from "./progress";
import { neededOf, type Secret } from "./restore-words";

type Restored = Schema["Restored"];

/** Bring a backup back: its key is asked for where the server's does not fit; what came of it stays to be read. */
export function Restore() {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const input = useRef<HTMLInputElement>(null);
  const { progress, run } = useProgress();
  const [file, setFile] = useState<File | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState<Restored | null>(null);
  const busy = progress !== null;
  const secrets = neededOf(error);

  const begin = async (file: File, secret: Partial<Record<Secret, string>> = {}) => {
    setFile(file);
    setDone(null);
    try {
      const form = asForm({ file, ...secret });
      setDone((await run((onProgress) => upload("/api/v1/restore", form, onProgress))) as Restored);
      setFile(null);
      setError(null);
      await queries.invalidateQueries();
    } catch (refusal) {
      setError(refusal);
    }
  };
  const leave = () => {
    setFile(null);
    setError(null);
  };

  return (
    <div className="grid gap-3">
      <p className="text-lg text-soft">{t("restore.text")}</p>
      {secrets === null && (
        <Button
          className="justify-self-start"
          icon={<ArchiveRestore aria-hidden="true" />}
          busy={busy}
          onClick={() => input.current?.click()}
        >
          {t("restore.action")}
        </Button>
      )}
      <input
        ref={input}
        type="file"
        hidden
        onChange={(event) => {
          const [chosen] = event.target.files ?? [];
          event.target.value = "";
          setError(null);
          if (chosen !== undefined) void begin(chosen);
        }}
      />
      {secrets !== null && file !== null && (
        <AskKey
          fileName={file.name}
          secrets={secrets}
          busy={busy}
          onKey={(secret, text) => void begin(file, { [secret]: text })}
          onLeave={leave}
        />
      )}
      {error !== null && secrets === null && !busy && (
        <p role="alert" className="font-medium text-danger">
          {sayRefusal(error, t)}
        </p>
      )}
      <Bar progress={progress} label={t("restore.action")} />
      {done !== null && <Result done={done} />}
    </div>
  );
}

/** The key of a backup of another Visage. */
function AskKey({
  fileName,
  secrets,
  busy,
  onKey,
  onLeave,
}: {
  fileName: string;
  secrets: readonly Secret[];
  busy: boolean;
  onKey: (secret: Secret, text: string) => void;
  onLeave: () => void;
}) {
  const { t } = useLanguage();
  const [secret, setSecret] = useState<Secret | undefined>(secrets[0]);
  const [text, setText] = useState("");
  const [refused, setRefused] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (busy || secret === undefined || text.trim() === "") return;
    setRefused(true); // shown once the answer is there: while this form is, the key did not fit
    onKey(secret, secret === "recovery_key" ? text.trim() : text);
  };
  return (
    <form noValidate onSubmit={submit} className="grid gap-5 rounded-card bg-sunken p-4 sm:p-5">
      <p className="text-lg">{t("restore.key.text", { file: fileName })}</p>
      {secret === undefined ? (
        <p className="text-lg">{t("restore.key.file")}</p>
      ) : (
        <>
          {secrets.length > 1 && (
            <Choice<Secret>
              label={t("restore.key.which")}
              value={secret}
              options={secrets.map((value) => ({ value, label: t(`restore.key.${value}`) }))}
              onChange={(value) => {
                setSecret(value);
                setText("");
                setRefused(false);
              }}
            />
          )}
          <TextField
            label={t(`restore.key.${secret}`)}
            hint={t(`restore.key.${secret}.hint`)}
            type={secret === "passphrase" ? "password" : "text"}
            autoFocus
            autoComplete="off"
            spellCheck={false}
            maxLength={secret === "passphrase" ? 200 : 100}
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setRefused(false);
            }}
            error={refused && !busy && t(`restore.key.${secret}.wrong`)}
          />
        </>
      )}
      <div className="flex flex-wrap gap-3">
        {secret !== undefined && (
          <Button look="primary" type="submit" busy={busy} icon={<ArchiveRestore aria-hidden="true" />}>
            {t("restore.key.action")}
          </Button>
        )}
        <Button look="quiet" disabled={busy} onClick={onLeave}>
          {t("action.cancel")}
        </Button>
      </div>
    </form>
  );
}

/** What came of it, in words; it stays until the screen is left. */
function Result({ done }: { done: Restored }) {
  const { t, code } = useLanguage();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.focus();
  }, []);
  return (
    <div ref={box} role="status" tabIndex={-1} className="grid gap-2 rounded-card bg-tint p-4 text-lg sm:p-5">
      <p className="flex items-center gap-2.5 font-bold">
        <CircleCheck aria-hidden="true" className="size-6 shrink-0 text-accent" />
        {t("restore.done")}
      </p>
      <p>{t("restore.people", { count: done.persons, day: sayDay(done.created_at, code) })}</p>
      {done.forgotten_again > 0 && <p>{t("restore.forgotten", { count: done.forgotten_again })}</p>}
      {!done.erasures_known && <p>{t("restore.erasures")}</p>}
      {done.new_key && <p>{t("restore.key.new")}</p>}
      {done.recovery_key_void && <p>{t("restore.key.paper")}</p>}
      {done.faults.length > 0 && <p>{t("restore.faults", { count: done.faults.length })}</p>}
      {done.set_aside !== null && <p className="wrap-anywhere">{t("restore.aside", { file: done.set_aside })}</p>}
    </div>
  );
}

function sayRefusal(error: unknown, t: ReturnType<typeof useLanguage>["t"]): string {
  const needs = error instanceof ApiError && error.details.needs;
  return Array.isArray(needs) && needs.includes("server_passphrase") ? t("restore.protected") : explain(error, t);
}
