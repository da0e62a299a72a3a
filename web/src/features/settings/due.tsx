import { CalendarCheck, CalendarX, UserX } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import type { Schema } from "@/client/api";
import { useDue, usePurge } from "@/client/server";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Await } from "@/components/states";
import { toast } from "@/components/toast";
import { Portrait } from "@/features/people/portrait";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { sayDay } from "@/lib/when";

type DuePersons = Schema["DuePersons"];
type DuePerson = Schema["Due"];

/** Who is to be forgotten since the camera has not seen them for long, why, and what holds it up. */
export function Due() {
  return <Await query={useDue(true)}>{(data) => <List data={data} />}</Await>;
}

function List({ data }: { data: DuePersons }) {
  const { t } = useLanguage();
  const [asking, setAsking] = useState(false);
  const { due, clock_fault } = data;
  return (
    <div className="grid gap-4">
      {clock_fault !== null && <ClockFault data={data} />}
      {due.length === 0 ? (
        <p>{t("due.none")}</p>
      ) : (
        <div className="grid gap-3">
          <div>
            <p className="font-semibold">{t("due.title", { count: due.length })}</p>
            <p className="text-soft">{t("due.keep")}</p>
          </div>
          <ul className="grid gap-1">
            {due.map((person) => (
              <Row key={person.person_id} person={person} />
            ))}
          </ul>
          <Button
            look="danger"
            className="justify-self-start"
            icon={<UserX aria-hidden="true" />}
            onClick={() => setAsking(true)}
          >
            {t("due.action")}
          </Button>
        </div>
      )}
      <Dialog open={asking} onClose={() => setAsking(false)} title={t("due.confirm.title", { count: due.length })}>
        <Confirm data={data} onDone={() => setAsking(false)} />
      </Dialog>
    </div>
  );
}

function Row({ person }: { person: DuePerson }) {
  const { t, code } = useLanguage();
  const { last_seen_at, since, days } = person;
  const seen = last_seen_at === null ? t("due.never") : t("due.seen", { day: sayDay(last_seen_at, code) });
  return (
    <li>
      <Link
        href={`/people/${person.person_id}`}
        className="-mx-2 flex min-h-16 items-center gap-3.5 rounded-2xl p-2 hover:bg-sunken"
      >
        <Portrait personId={person.person_id} className="size-14 shrink-0 rounded-full" />
        <span className="min-w-0">
          <span className="block font-semibold wrap-anywhere">{person.name}</span>
          <span className="block text-soft">
            {seen} {t("due.days", { count: days, day: sayDay(since, code) })}
          </span>
        </span>
      </Link>
    </li>
  );
}

/** The clock does not fit with when the server ran last: until a person says that it is right, nobody goes by itself. */
function ClockFault({ data }: { data: DuePersons }) {
  const { t, code } = useLanguage();
  const purge = usePurge();
  const day = sayDay(data.now, code);
  const believe = () =>
    purge.mutate(
      { person_ids: [], clock_is_right: true },
      { onSuccess: () => toast(t("clock.believed")), onError: (error) => toast(explain(error, t)) },
    );
  return (
    <div role="status" className="grid gap-3 rounded-card bg-sunken p-4 sm:p-5">
      <p className="flex items-start gap-3">
        <CalendarX aria-hidden="true" className="mt-0.5 size-6 shrink-0 text-danger" />
        <span>
          <span className="block font-semibold">{t("clock.title", { day })}</span>
          {t("clock.text")} {t("clock.wrong")}
        </span>
      </p>
      {/* With somebody due, the same is said where they are forgotten: believing the clock lets them go. */}
      {data.due.length === 0 && (
        <Button
          className="justify-self-start"
          busy={purge.isPending}
          icon={<CalendarCheck aria-hidden="true" />}
          onClick={believe}
        >
          {t("clock.right")}
        </Button>
      )}
    </div>
  );
}

/** Says exactly what will happen; the people listed when it was opened are those who go. */
function Confirm({ data, onDone }: { data: DuePersons; onDone: () => void }) {
  const { t, code } = useLanguage();
  const [{ due, now, clock_fault }] = useState(data);
  const purge = usePurge();
  const names = new Intl.ListFormat(code).format(due.map((person) => person.name));
  const act = () =>
    purge.mutate(
      { person_ids: due.map((person) => person.person_id), clock_is_right: clock_fault !== null },
      {
        onSuccess: ({ person_ids, complete }) => {
          const done = t("due.done", { count: person_ids.length });
          toast(complete ? done : `${done} ${t("due.traces")}`);
          onDone();
        },
      },
    );
  return (
    <>
      <ul className="mb-6 grid list-disc gap-2 pl-6 text-lg">
        <li className="font-semibold wrap-anywhere">{names}</li>
        <li>{t("due.means.photos")}</li>
        <li>{t("forget.means.final")}</li>
        <li>{t("forget.means.backup")}</li>
        {clock_fault !== null && <li>{t("due.means.clock", { day: sayDay(now, code) })}</li>}
      </ul>
      {purge.isError && (
        <p role="alert" className="mb-4 font-medium text-danger">
          {explain(purge.error, t)}
        </p>
      )}
      <div className="flex flex-wrap justify-end gap-3">
        <Button autoFocus onClick={onDone}>
          {t("action.cancel")}
        </Button>
        <Button look="danger" busy={purge.isPending} icon={<UserX aria-hidden="true" />} onClick={act}>
          {t(clock_fault === null ? "forget.confirm" : "due.confirm.clock")}
        </Button>
      </div>
    </>
  );
}
