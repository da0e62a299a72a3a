import { useQueryClient } from "@tanstack/react-query";
import { RotateCw, Unplug } from "lucide-react";
import { Component, type ReactNode, useEffect } from "react";
import { connection, useConnection } from "@/client/connection";
import { isCurrent, PartMissing, reloadOnce } from "@/client/part";
import { useLanguage } from "@/lib/i18n";
import { Button } from "./button";
import { Empty, Loading } from "./states";

/** Twice within this time is no accident. */
const ACCIDENT_MS = 10_000;

/**
 * What breaks inside is said, and the rest of the page goes on. It is tried again by itself at once (a translated or
 * otherwise changed document breaks once), and whenever the server is back; a page from before an update of the server
 * is loaded again, once. Give it a `key` that changes with what it holds.
 *
 * @param name what breaks here, as `reloadOnce` is to know it.
 */
export class Boundary extends Component<
  { name: string; children: ReactNode },
  { error: Error | null; tries: number }
> {
  override state: { error: Error | null; tries: number } = { error: null, tries: 0 };
  private brokeAt = Number.NEGATIVE_INFINITY;

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidCatch(error: unknown) {
    const before = this.brokeAt;
    this.brokeAt = performance.now();
    if (!(error instanceof PartMissing) && this.brokeAt - before > ACCIDENT_MS) this.again();
    else void isCurrent().then((current) => current === false && reloadOnce(this.props.name));
  }

  again = () => this.setState(({ tries }) => ({ error: null, tries: tries + 1 }));

  override render() {
    const { error, tries } = this.state;
    if (error !== null) return <Broken error={error} onAgain={this.again} />;
    return <Whole key={tries}>{this.props.children}</Whole>;
  }
}

function Whole({ children }: { children: ReactNode }) {
  return children;
}

function Broken({ error, onAgain }: { error: Error; onAgain: () => void }) {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const missing = error instanceof PartMissing;
  useEffect(() => connection.onBack(missing ? () => location.reload() : onAgain), [missing, onAgain]);
  const again = () => {
    if (missing) location.reload();
    queries.removeQueries({ type: "inactive" }); // an answer may be what broke it
    onAgain();
  };
  return (
    <div role="alert">
      <Empty
        icon={<Unplug aria-hidden="true" />}
        title={t(missing ? "broken.missing.title" : "broken.title")}
        action={
          <div className="flex flex-wrap justify-center gap-3">
            <Button look="primary" icon={<RotateCw aria-hidden="true" />} onClick={again}>
              {t("action.again")}
            </Button>
            {!missing && <Button onClick={() => location.reload()}>{t("broken.reload")}</Button>}
          </div>
        }
      >
        {t(missing ? "broken.missing.text" : "broken.text")}
      </Empty>
    </div>
  );
}

/** A screen is on its way; where the server is away, that it comes by itself. */
export function Coming() {
  const { t } = useLanguage();
  if (useConnection() !== "lost") return <Loading />;
  return (
    <Empty icon={<Unplug aria-hidden="true" />} title={t("coming.title")}>
      {t("coming.text")}
    </Empty>
  );
}
