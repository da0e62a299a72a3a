import { Volume2 } from "lucide-react";
import { useId } from "react";
import { Button } from "@/components/button";
import { Choice, Switch } from "@/components/field";
import { Card } from "@/components/page";
import { useLanguage } from "@/lib/i18n";
import { prefer, usePreferences } from "@/lib/preferences";
import { useVoices, voiceFor } from "@/lib/voices";

import { nearestRate, RATES } from "./rates";

/** Whether names are spoken, and how. The voices are the device's own. */
export function Speech() {
  const { t, code } = useLanguage();
  const { speech, speechRate, voice } = usePreferences();
  const { voices, ready } = useVoices(code);
  const id = useId();
  const speak = () => {
    const words = new SpeechSynthesisUtterance(t("speech.sample"));
    words.lang = code;
    words.rate = speechRate;
    words.voice = voiceFor(code, voice) ?? null;
    speechSynthesis.cancel();
    speechSynthesis.speak(words);
  };
  return (
    <Card title={t("speech.title")}>
      <div className="grid gap-6">
        <Switch
          label={t("speech.on")}
          hint={t("speech.on.hint")}
          checked={speech}
          onChange={(value) => prefer({ speech: value })}
        />
        {speech && (
          <>
            <Choice
              label={t("speech.rate")}
              value={nearestRate(speechRate)}
              options={Object.keys(RATES).map((value) => ({
                value: value as keyof typeof RATES,
                label: t(`speech.rate.${value as keyof typeof RATES}`),
              }))}
              onChange={(value) => prefer({ speechRate: RATES[value] })}
            />
            {voices.length > 0 ? (
              <div className="grid gap-1.5">
                <label htmlFor={id} className="font-semibold">
                  {t("speech.voice")}
                </label>
                <select
                  id={id}
                  value={voices.some((each) => each.voiceURI === voice) ? (voice ?? "") : ""}
                  onChange={(event) => prefer({ voice: event.target.value || null })}
                  className="min-h-12 w-full rounded-2xl border-2 border-edge bg-surface px-3 py-2 text-lg"
                >
                  <option value="">{t("speech.voice.first")}</option>
                  {voices.map((each) => (
                    <option key={each.voiceURI} value={each.voiceURI}>
                      {each.name}
                    </option>
                  ))}
                </select>
              </div>
            ) : (
              ready && <p className="text-soft">{t("speech.none")}</p>
            )}
            {voices.length > 0 && (
              <Button className="justify-self-start" icon={<Volume2 aria-hidden="true" />} onClick={speak}>
                {t("speech.try")}
              </Button>
            )}
          </>
        )}
      </div>
    </Card>
  );
}
