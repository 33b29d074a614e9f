// The frame of every page: navigation, colour scheme, and which page a path shows.

import { ActionIcon, AppShell, Container, Group, Text, Title, useMantineColorScheme } from "@mantine/core";
import { IconBell, IconChartLine, IconMoon, IconSun, IconTarget } from "@tabler/icons-react";
import type { ComponentType } from "react";
import { Link, Redirect, Route, Switch, useLocation } from "wouter";
import { AlertsPage } from "./pages/AlertsPage";
import { QueryPage } from "./pages/QueryPage";
import { TargetsPage } from "./pages/TargetsPage";

const PAGES: { path: string; label: string; icon: ComponentType<{ size: number }>; page: ComponentType }[] = [
  { path: "/query", label: "Query", icon: IconChartLine, page: QueryPage },
  { path: "/alerts", label: "Alerts", icon: IconBell, page: AlertsPage },
  { path: "/targets", label: "Targets", icon: IconTarget, page: TargetsPage },
];

export function App() {
  return (
    <AppShell header={{ height: 52 }} padding="md">
      <AppShell.Header>
        <Header />
      </AppShell.Header>
      <AppShell.Main>
        <Container fluid px={0}>
          <Switch>
            {PAGES.map(({ path, page }) => (
              <Route key={path} path={path} component={page} />
            ))}
            <Route path="/">
              <Redirect to="/query" />
            </Route>
            <Route>
              <Text>There is no such page.</Text>
            </Route>
          </Switch>
        </Container>
      </AppShell.Main>
    </AppShell>
  );
}

function Header() {
  const [location] = useLocation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const dark =
    colorScheme === "dark" ||
    (colorScheme === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  return (
    <Group h="100%" px="md" justify="space-between" wrap="nowrap">
      <Group gap="lg" wrap="nowrap">
        <Title order={1} size="h4">
          Trivium
        </Title>
        <Group component="nav" gap="md" wrap="nowrap" aria-label="Pages">
          {PAGES.map(({ path, label, icon: Icon }) => (
            <Text
              key={path}
              component={Link}
              href={path}
              size="sm"
              fw={location === path ? 700 : 400}
              c={location === path ? "var(--mantine-color-text)" : "dimmed"}
              td="none"
              aria-current={location === path ? "page" : undefined}
            >
              <Group gap={6} wrap="nowrap">
                <Icon size={16} />
                {label}
              </Group>
            </Text>
          ))}
        </Group>
      </Group>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={dark ? "Use light colours" : "Use dark colours"}
        onClick={() => setColorScheme(dark ? "light" : "dark")}
      >
        {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Group>
  );
}
