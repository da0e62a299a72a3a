import { CircleCheck, Users } from "lucide-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { type BankReport, useReport } from "@/client/report";
import { ButtonLink } from "@/components/button";
import { Page } from "@/components/page";
import { Await, Empty } from "@/components/states";
import { useHeld } from "@/lib/held";
import { useLanguage } from "@/lib/i18n";
import { sayWhen } from "@/lib/when";
import { adviceWords } from "../people/advice";
import { Portrait } from "../people/portrait";
import { LookAlike } from "./look-alike";
import { Misfits } from "./misfit";
import { pairOf, useSettled } from "./settled";

/** What to look at among the people who are remembered, in pictures, each with what to do about it. */
export default function Report() {
  const { t } = useLanguage();
  return (
    <Page title={t("report.title")} wide>
      <Await query={useReport()}>{(report) => <Findings report={report} />}</Await>
    </Page>
  );
}

function Findings({ report }: { report: BankReport }) {
  const { t } = useLanguage();
  const settled = useSettled();
  const held = useHeld();
  const pairs = report.look_alikes.filter(({ persons: [a, b] }) => !settled.has(pairOf(a.person_id, b.person_id)));
  const advice = new Map(report.advice.map((entry) => [entry.person_id, adviceWords(entry.advice, entry.name, t)]));
  const misfits = report.misfits.filter(({ photo_id }) => !settled.has(photo_id) && !held(photo_id));
  if (report.persons === 0)
    return (
      <Empty
        icon={<Users />}
        title={t("people.empty.title")}
        action={
          <ButtonLink href="/add" look="primary">
            {t("people.add")}
          </ButtonLink>
        }
      >
        {t("report.nobody")}
      </Empty>
    );
  const alike = report.closeness.more_alike;
  const nothing = !alike && pairs.length === 0 && misfits.length === 0 && report.thin.length === 0;
  return (
    <div className="grid grid-cols-1 gap-10">
      {nothing && (
        <Empty icon={<CircleCheck />} title={t("report.fine.title")}>
          {t("report.fine.text")}
        </Empty>
      )}
      {alike && <Section title={t("report.alike.title")} text={t("report.alike.text")} />}
      {pairs.length > 0 && (
        <Section title={t("report.pairs.title")} text={t("report.pairs.text")}>
          <ul className="grid gap-4 lg:grid-cols-2">
            {pairs.map((pair) => (
              <LookAlike key={pairOf(pair.persons[0].person_id, pair.persons[1].person_id)} pair={pair} />
            ))}
          </ul>
        </Section>
      )}
      {misfits.length > 0 && (
        <Section title={t("report.misfits.title")} text={t("report.misfits.text")}>
          <ul className="grid gap-4 lg:grid-cols-2">
            {[...groupedBy(misfits, (misfit) => misfit.person_id)].map(([personId, ofOne]) => (
              <Misfits key={personId} misfits={ofOne} />
            ))}
          </ul>
        </Section>
      )}
      {report.thin.length > 0 && (
        <Section title={t("report.thin.title")} text={t("report.thin.text")}>
          <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(17rem,100%),1fr))] gap-3 sm:gap-4">
            {report.thin.map((person) => (
              <li key={person.person_id}>
                <Link
                  href={`/add?to=${person.person_id}`}
                  className="flex h-full items-center gap-4 rounded-card border border-line bg-surface p-3 transition-shadow hover:shadow-lg"
                >
                  <Portrait personId={person.person_id} className="size-24 rounded-2xl" />
                  <span className="min-w-0">
                    <span className="block text-lg leading-snug font-bold">{person.name}</span>
                    <span className="block text-soft">
                      {t("report.thin.count", { count: person.embedding_count })}
                      {person.views < person.embedding_count &&
                        `, ${t("report.thin.views", { count: person.views })}`}
                    </span>
                    <span className="block text-soft">{advice.get(person.person_id)}</span>
                    <span className="mt-1 block font-semibold text-accent">{t("photos.add")}</span>
                  </span>
                </Link>
              </li>
            ))}
          </ul>
        </Section>
      )}
      {report.seen.length > 0 && <Seen seen={report.seen} />}
    </div>
  );
}

function groupedBy<T>(all: readonly T[], key: (one: T) => string): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}

function Section({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <section className="grid grid-cols-1 gap-4">
      <div className="max-w-2xl">
        <h2 className="text-2xl">{title}</h2>
        <p className="mt-1 text-lg text-soft">{text}</p>
      </div>
      {children}
    </section>
  );
}

function Seen({ seen }: { seen: BankReport["seen"] }) {
  const { t, code } = useLanguage();
  const latest = [...seen].sort((a, b) => b.last_seen_at.localeCompare(a.last_seen_at));
  return (
    <Section title={t("report.seen.title")} text={t("report.seen.text")}>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(17rem,100%),1fr))] gap-x-6 gap-y-1">
        {latest.map((person) => (
          <li key={person.person_id}>
            <Link
              href={`/people/${person.person_id}`}
              className="flex min-h-16 items-center gap-3.5 rounded-2xl p-2 hover:bg-sunken"
            >
              <Portrait personId={person.person_id} className="size-14 rounded-full" />
              <span>
                <span className="block text-lg leading-snug font-bold">{person.name}</span>
                <span className="block text-soft">
                  {sayWhen(person.last_seen_at, code)} · {t("report.seen.times", { count: person.times })}
                </span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}
