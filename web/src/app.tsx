import { Suspense, useEffect } from "react";
import { Link, Route, Switch, useLocation } from "wouter";
import { useMay, useSession } from "./client/session";
import { Boundary, Coming } from "./components/boundary";
import { Page } from "./components/page";
import { Failed, Loading } from "./components/states";
import { Toasts } from "./components/toast";
import { SignIn } from "./features/signin/sign-in";
import { useLanguage } from "./lib/i18n";
import { keepFocus } from "./lib/keep-focus";
import { SCREENS, type Screen } from "./screens";
import { Shell } from "./shell";

/** The whole page: first the key, where the server wants one; then the screen that the address names. */
export function App() {
  const session = useSession();
  useEffect(() => keepFocus(document.getElementById("root") ?? document.body), []);
  return (
    <Toasts>
      {session.data === undefined ? (
        <main className="grid min-h-dvh place-items-center p-4">
          {session.isError ? <Failed error={session.error} retry={() => void session.refetch()} /> : <Loading />}
        </main>
      ) : session.data.required && !session.data.signed_in ? (
        <SignIn />
      ) : (
        <Shell>
          <Suspense fallback={<Coming />}>
            <Switch>
              {SCREENS.map((screen) => (
                <Route key={screen.path} path={screen.path}>
                  <Guarded screen={screen} />
                </Route>
              ))}
              <Route>
                <NotHere />
              </Route>
            </Switch>
          </Suspense>
        </Shell>
      )}
    </Toasts>
  );
}

function Guarded({ screen }: { screen: Screen }) {
  const { t } = useLanguage();
  const may = useMay(screen.role);
  const [location] = useLocation();
  if (may)
    return (
      <Boundary name={screen.path} key={location}>
        <screen.component />
      </Boundary>
    );
  return (
    <Page title={t("forbidden.title")}>
      <p className="text-lg">{t("error.FORBIDDEN")}</p>
    </Page>
  );
}

function NotHere() {
  const { t } = useLanguage();
  return (
    <Page title={t("nothere.title")}>
      <p className="mb-4 text-lg text-soft">{t("nothere.text")}</p>
      <Link href="/" className="text-lg font-semibold text-accent underline">
        {t("nothere.back")}
      </Link>
    </Page>
  );
}
