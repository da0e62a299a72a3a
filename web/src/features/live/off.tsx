import { Camera, CameraOff, LockKeyholeOpen, UserPlus, Video } from "lucide-react";
import type { ReactNode } from "react";
import { usePeople } from "@/client/people";
import { Button, ButtonLink } from "@/components/button";
import { Spinner } from "@/components/spinner";
import { useLanguage } from "@/lib/i18n";
import { useSlow } from "@/lib/use-slow";
import type { CameraProblem, CameraState } from "./camera";

const ICONS: Record<CameraProblem, ReactNode> = {
  refused: <CameraOff />,
  missing: <CameraOff />,
  busy: <Camera />,
  insecure: <LockKeyholeOpen />,
  lost: <CameraOff />,
};

/** In place of the picture, while there is none: why, and what to do. */
export function Off({
  camera,
  onStart,
  mayAdd,
}: {
  camera: Exclude<CameraState, "on">;
  onStart: () => void;
  mayAdd: boolean;
}) {
  const { t } = useLanguage();
  const isEmpty = usePeople("", "newest").data?.pages[0]?.persons.length === 0;
  const slow = useSlow(camera === "starting");
  if (camera === "starting")
    return (
      <div className="absolute inset-0 grid place-items-center text-soft">
        {slow && (
          <p className="flex items-center gap-3 text-lg">
            <Spinner /> {t("live.starting.text")}
          </p>
        )}
      </div>
    );
  // Nobody is here whom it could name: first comes the first person.
  const first = camera === "off" && isEmpty;
  return (
    <div className="absolute inset-0 grid overflow-y-auto p-6">
      <div className="m-auto grid max-w-lg justify-items-center gap-4 pt-12 text-center">
        <span
          aria-hidden="true"
          className="grid size-20 place-items-center rounded-full bg-tint text-accent [&>svg]:size-9 landscape:max-lg:hidden"
        >
          {camera === "off" ? <Video /> : ICONS[camera]}
        </span>
        <h2 className="text-3xl sm:text-4xl">
          {t(first ? "live.first.title" : camera === "off" ? "live.off.title" : `live.camera.${camera}.title`)}
        </h2>
        <p className="text-lg text-soft sm:text-xl">
          {t(
            first
              ? mayAdd
                ? "live.first.text"
                : "people.empty.viewer"
              : camera === "off"
                ? "live.off.text"
                : `live.camera.${camera}.text`,
          )}
        </p>
        {first && mayAdd && (
          <ButtonLink
            look="primary"
            href="/add"
            icon={<UserPlus aria-hidden="true" />}
            className="mt-2 min-h-16 px-8 text-xl"
          >
            {t("live.first.add")}
          </ButtonLink>
        )}
        {camera !== "insecure" && (
          <Button
            look={first && mayAdd ? "secondary" : "primary"}
            onClick={onStart}
            className={first && mayAdd ? "text-lg" : "mt-2 min-h-16 px-8 text-xl"}
          >
            {t(camera === "off" ? "live.start" : "action.again")}
          </Button>
        )}
      </div>
    </div>
  );
}
