import { useQueryClient } from "@tanstack/react-query";
import { Check, Copy, KeyRound, Trash2 } from "lucide-react";
import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { type AccessKey, revokeKey, useHas, useKeys, useMakeKey } from "@/client/server";
import { type Role, useMay } from "@/client/session";
import { Button } from "@/components/button";
import { Choice, TextField } from "@/components/field";
import { Card } from "@/components/page";
import { Await } from "@/components/states";
import { useHold } from "@/components/use-hold";
import { explain } from "@/lib/explain";
import { useHeld } from "@/lib/held";
import { useLanguage } from "@/lib/i18n";
import { sayWhen } from "@/lib/when";

/** Who may look at Visage from other devices: a key for each. */
export function Keys() {
  const { t } = useLanguage();
  const there = useHas("POST /api/v1/keys");
  const shown = useMay("admin") && there;
  return shown ? (
    <Card title={t("keys.title")}>
      <p className="mb-5 text-lg text-soft">{t("keys.text")}</p>
      <AllKeys />
      <NewKey />
    </Card>
  ) : null;
}

function AllKeys() {
  const { t, code } = useLanguage();
  const held = useHeld();
  const queries = useQueryClient();
  const hold = useHold();
  const revoke = (key: AccessKey) =>
    hold(key.key_id, t("keys.revoked", { label: key.label || t("keys.unnamed") }), async () => {
      await revokeKey(key.key_id);
      await queries.invalidateQueries({ queryKey: ["keys"] });
    });
  return (
    <Await query={useKeys()}>
      {({ keys }) => {
        const valid = keys.filter((key) => key.revoked_at === null && !held(key.key_id));
        if (valid.length === 0) return <p className="mb-6 text-lg">{t("keys.empty")}</p>;
        return (
          <ul className="mb-6 grid">
            {valid.map((key) => (
              <li
                key={key.key_id}
                className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 border-b border-line py-3"
              >
                <p className="min-w-40 flex-1">
                  <span className="block text-lg font-bold">{key.label || t("keys.unnamed")}</span>
                  <span className="text-soft">
                    {t(`role.${key.role}`)} · {sayWhen(key.created_at, code)}
                  </span>
                </p>
                <Button look="quiet" icon={<Trash2 aria-hidden="true" />} onClick={() => revoke(key)}>
                  {t("keys.revoke")}
                </Button>
              </li>
            ))}
          </ul>
        );
      }}
    </Await>
  );
}

function NewKey() {
  const { t } = useLanguage();
  const [label, setLabel] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const make = useMakeKey();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate({ label: label.trim(), role }, { onSuccess: () => setLabel("") });
  };
  if (make.data !== undefined) return <Shown secret={make.data.key} onDone={make.reset} />;
  return (
    <form onSubmit={submit} className="grid gap-5">
      <h3 className="text-lg">{t("keys.new")}</h3>
      <TextField
        label={t("keys.label")}
        hint={t("keys.label.hint")}
        maxLength={200}
        autoComplete="off"
        value={label}
        onChange={(event) => setLabel(event.target.value)}
      />
      <Choice<Role>
        label={t("keys.role")}
        value={role}
        options={(["viewer", "editor", "admin"] as const).map((value) => ({ value, label: t(`role.${value}`) }))}
        onChange={setRole}
      />
      {make.isError && (
        <p role="alert" className="font-medium text-danger">
          {explain(make.error, t)}
        </p>
      )}
      <Button
        type="submit"
        className="justify-self-start"
        busy={make.isPending}
        icon={<KeyRound aria-hidden="true" />}
      >
        {t("keys.make")}
      </Button>
    </form>
  );
}

/** The new key: this once. */
function Shown({ secret, onDone }: { secret: string; onDone: () => void }) {
  const { t } = useLanguage();
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.focus();
  }, []);
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
    } catch {
      input.current?.select(); // not on http: to be copied by hand
      return;
    }
    setCopied(true);
  };
  return (
    <div className="grid gap-4 rounded-card bg-tint p-5">
      <label htmlFor={id} className="text-lg font-bold">
        {t("keys.shown")}
      </label>
      <input
        id={id}
        readOnly
        ref={input}
        value={secret}
        onFocus={(event) => event.target.select()}
        className="min-h-12 w-full rounded-2xl border-2 border-edge bg-surface px-4 font-mono text-base"
      />
      <p>{t("keys.shown.text")}</p>
      <div className="flex flex-wrap gap-3">
        <Button
          icon={copied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
          onClick={() => void copy()}
        >
          <span role="status">{t(copied ? "keys.copied" : "keys.copy")}</span>
        </Button>
        <Button look="quiet" onClick={onDone}>
          {t("keys.done")}
        </Button>
      </div>
    </div>
  );
}
